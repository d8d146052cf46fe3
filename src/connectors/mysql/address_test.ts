import assert from "node:assert/strict";
import { describeError, FlowError } from "../../core/error.ts";
import { Secret } from "../../core/secret.ts";
import { mysqlAddress } from "./address.ts";

function address(url: string, more: Record<string, unknown> = {}) {
  return mysqlAddress({ url: new Secret(url), ...more });
}

function refused(work: () => unknown, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof FlowError);
    assert.equal(error.code, "mysql_options_invalid");
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("a mysql url gives its parts, and keys beside it win", () => {
  const found = address("mariadb://al%40ice:p%2Fa%3Ass@db.example:3307/sh%20op", { port: 3308 });
  const { host, port, user, password, database } = found.config();
  assert.deepEqual([host, port, user, password, database], [
    ...["db.example", 3308, "al@ice", "p/a:ss", "sh op"],
  ]);
  assert.equal(found.shown, "db.example:3308/sh op");
  assert.equal(describeError(new Error("refused p/a:ss")), "refused ***");
  assert.equal(address("mysql://u@h/d").port, 3306);
  assert.deepEqual(address("mysql://u@h/d?ssl-mode=REQUIRED").config().ssl, {
    rejectUnauthorized: false,
  });
});

Deno.test("mysql options that cannot be read are refused", () => {
  refused(() => mysqlAddress({}), /needs url/);
  refused(() => address("postgres://u@h/d"), /must start with mysql:/);
  refused(() => address("mysql://u@h:port/d"), /not a valid URL/);
  refused(() => address("mysql://u@h/d?sslmode=maybe"), /'maybe'/);
  refused(() => address("mysql://u@h/d?timeout=1"), /unknown parameter 'timeout'/);
  // The name in a certificate is compared with a name.
  refused(() => address("mysql://u@10.0.0.1/d?ssl-mode=verify_identity"), /10[.]0[.]0[.]1/);
});
