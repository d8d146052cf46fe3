import { FlowError } from "../core/error.ts";
import type { ConfigHost } from "./host.ts";

/** What a test's host holds: variables and files by their full path. */
export interface FakeHostContent {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  /** Names of variables and paths that must not be read. */
  readonly denied?: readonly string[];
  readonly readableByOthers?: boolean;
}

/** A host without a real environment: working directory `/cwd`, home `/home/me`. */
export function fakeHost(content: FakeHostContent = {}): ConfigHost {
  const check = (name: string, flag: string) => {
    if (!content.denied?.includes(name)) return;
    throw new FlowError(`not allowed to read ${name}`, {
      code: "permission_denied",
      domain: "user",
      hint: `start flow with ${flag}`,
      details: { flag },
    });
  };
  return {
    env(name) {
      check(name, `--allow-env=${name}`);
      return content.env?.[name];
    },
    envNames: () => Object.keys(content.env ?? {}),
    readFile(path) {
      try {
        check(path, `--allow-read=${path}`);
      } catch (error) {
        return Promise.reject(error);
      }
      return Promise.resolve(content.files?.[path]);
    },
    readableByOthers: () => Promise.resolve(content.readableByOthers ?? false),
    cwd: "/cwd",
    home: () => "/tmp-home",
  };
}
