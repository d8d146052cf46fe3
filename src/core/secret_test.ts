import assert from "node:assert/strict";
import { FlowError, redactText } from "./error.ts";
import { Secret } from "./secret.ts";

const PASSWORDS = ["hunter22", "pa/ss22", "pa@ss22", "pa'ss\"22", "p%40ss22", "pa:ss22"];

for (const password of PASSWORDS) {
  Deno.test(`a URL with the password ${JSON.stringify(password)} shows it nowhere`, () => {
    const url = `postgres://alice:${password}@db.example:5432/shop`;
    const secret = new Secret(url);
    assert.equal(secret.reveal(), url);
    const cause = new Error(`connect to ${url} failed`);
    const error = new FlowError(`cannot connect to ${url}`, {
      code: "x",
      domain: "external",
      cause,
    });
    const shown = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      Deno.inspect({ secret }),
      Deno.inspect(error),
      JSON.stringify(error.toData()),
      redactText(`bad password ${password}`),
    ];
    for (const text of shown) assert.ok(!text.includes(password), text);
    assert.match(String(secret), /^postgres:\/\/alice:\*\*\*@db\.example:5432\/shop$/);
  });
}

Deno.test("a text that is no URL is hidden as a whole, and the parameters of a URL that may be secret", () => {
  assert.equal(String(new Secret("just-a-password")), "***");
  assert.equal(redactText("it was just-a-password"), "it was ***");
  assert.equal(
    String(new Secret("postgres://db/shop?password=s3cr3t99&sslmode=require")),
    "postgres://db/shop?password=***&sslmode=require",
  );
});
