import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import { subtract } from "./permission_lists.ts";
import { type GrantedPermissions, INHERITED, takePermissionFlags } from "./permissions.ts";

const NONE: GrantedPermissions = { read: false, write: false, net: false, env: false, sys: false };
const ALL: GrantedPermissions = { read: true, write: true, net: true, env: true, sys: true };
const here = (path: string) => `${Deno.cwd()}/${path}`;

const GRANTS: readonly [string, GrantedPermissions][] = [
  ["", INHERITED],
  ["--no-prompt", INHERITED],
  ["--sandbox", NONE],
  ["-A", ALL],
  ["--allow-all --deny-net", { ...ALL, net: false }],
  ["--allow-net", { ...NONE, net: true }],
  ["-N=a:1,b --allow-net=c", { ...NONE, net: ["a:1", "b", "c"] }],
  ["-RN", { ...NONE, read: true, net: true }],
  ["--allow-read=data,/etc/../tmp/", { ...NONE, read: [here("data"), "/tmp"] }],
  ["-W=a,,b", { ...NONE, write: [here("a,b")] }],
  ["--allow-run --allow-ffi=x --allow-import=y", NONE],
  ["--deny-run --deny-ffi", INHERITED],
  ["--deny-read", { ...INHERITED, read: false }],
  ["--allow-net=a,b --deny-net=b", { ...NONE, net: ["a"] }],
  ["--allow-net=a --deny-net", NONE],
  ["--sandbox --deny-net=a", NONE],
  ["--allow-sys --deny-sys=hostname,uid", {
    ...NONE,
    sys: [
      "osRelease",
      "osUptime",
      "loadavg",
      "networkInterfaces",
      "systemMemoryInfo",
      "gid",
      "username",
      "cpus",
      "homedir",
      "statfs",
      "getPriority",
      "setPriority",
    ],
  }],
];

for (const [flags, granted] of GRANTS) {
  Deno.test(`permission flags: '${flags}'`, () => {
    const argv = flags.split(" ").filter((flag) => flag !== "");
    const taken = takePermissionFlags(["--format", "json", ...argv, "orders.toml", "-q"]);
    assert.deepEqual(taken.granted, granted);
    assert.deepEqual(taken.rest, ["--format", "json", "orders.toml", "-q"]);
  });
}

Deno.test("permission flags: what follows -- is left alone", () => {
  const { granted, rest } = takePermissionFlags(["-N", "--", "-A"]);
  assert.deepEqual(granted, { ...NONE, net: true });
  assert.deepEqual(rest, ["--", "-A"]);
});

Deno.test("permission flags: a denied variable leaves all others of the environment", () => {
  const { granted } = takePermissionFlags(["--deny-env=HOME"]);
  assert.ok(Array.isArray(granted.env));
  assert.equal(granted.env.includes("HOME"), false);
  assert.equal(granted.env.includes("PATH"), true);
  assert.equal(granted.net, "inherit");
});

Deno.test("permission flags: a slip of the pen gets the nearest name", () => {
  assert.throws(() => takePermissionFlags(["--allow-raed=data"]), {
    code: "permission_flag_invalid",
    hint: "did you mean --allow-read?",
  });
});

const REFUSED: readonly [string, RegExp][] = [
  ["--allow-nett=a", /--allow-nett=a is not a permission flag/],
  ["--allow-read=", /empty entry/],
  ["--allow-net=a,", /empty entry/],
  ["-RN=a", /several flags/],
  ["--allow-all --sandbox", /contradict/],
  ["-A --allow-net=a", /contradict/],
  ["--allow-net --allow-net=a", /with a list and without/],
  ["--allow-net=http://a", /not the URL/],
  ["--deny-net=a", /cannot be kept/],
  ["-A --deny-read=/etc", /cannot be kept/],
  ["--allow-read --deny-read=/etc", /cannot be kept/],
  ["--allow-read=/ --deny-read=/etc", /cannot be kept/],
  ["--allow-net=a --deny-net=a:1", /cannot be kept/],
  ["--allow-net=localhost --deny-net=127.0.0.1", /cannot be kept/],
  ["--allow-env=A* --deny-env=AB", /cannot be kept/],
];

for (const [flags, message] of REFUSED) {
  Deno.test(`permission flags: '${flags}' is refused`, () => {
    assert.throws(() => takePermissionFlags(flags.split(" ")), (error) => {
      assert.ok(error instanceof FlowError);
      assert.equal(error.code, "permission_flag_invalid");
      assert.match(error.message, message);
      assert.ok(error.hint);
      return true;
    });
  });
}

const DIFFERENCES: readonly [Parameters<typeof subtract>, readonly string[] | "refused"][] = [
  [["net", ["a:1", "a:2"], ["a:1"]], ["a:2"]],
  [["net", ["a:1"], ["a"]], []],
  [["net", ["A.b"], ["a.B"]], []],
  [["net", ["a"], ["b"]], ["a"]],
  [["net", ["[::1]:5"], ["[0:0:0:0:0:0:0:1]"]], []],
  [["net", ["10.0.0.1"], ["10.0.0.0/8"]], "refused"],
  [["net", ["x.example.com", "example.com"], ["*.example.com"]], ["example.com"]],
  [["net", ["*.example.com"], ["x.example.com"]], "refused"],
  [["net", ["10.0.0.1"], ["name"]], ["10.0.0.1"]],
  [["read", ["/a/b", "/c"], ["/a"]], ["/c"]],
  [["read", ["/a"], ["/a/b"]], "refused"],
  [["read", ["/ab"], ["/a"]], ["/ab"]],
  [["env", ["AB", "B"], ["A*"]], ["B"]],
  [["sys", ["uid", "gid"], ["uid"]], ["gid"]],
];

for (const [[kind, allowed, denied], left] of DIFFERENCES) {
  Deno.test(`--allow-${kind}=${allowed} --deny-${kind}=${denied} leaves ${left}`, () => {
    const difference = subtract(kind, allowed, denied);
    assert.deepEqual("allowed" in difference ? difference.allowed : "refused", left);
  });
}
