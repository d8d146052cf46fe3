/**
 * Jars from a Maven repository, kept in a per-user cache. With `mvn` on PATH (or installable by apt), Maven
 * fetches them by its own settings. Without it they are fetched over HTTP from the repository that
 * FLOW_MAVEN_REPOSITORY names, or the first mirror in Maven's user settings. Either way each file's SHA-256 is
 * compared with the list before it is used.
 */
import { createHash } from "node:crypto";
import { aptInstall, cacheDirectory } from "./packages.ts";
import { findProgram, isFile, messageOf, run } from "./process.ts";
import { Unavailable } from "./service.ts";

/** One jar: its path in a Maven repository's layout, and its checksum in hexadecimal. */
export interface Jar {
  readonly path: string;
  readonly sha256: string;
}

/** What `mavenJars` fetches. */
export interface JarsRequest {
  /** The cache folder's name: product and version. */
  readonly name: string;
  /** `group:artifact:version` of what Maven resolves. */
  readonly roots: readonly string[];
  readonly jars: readonly Jar[];
  readonly say: (line: string) => void;
}

/** Returns the jars' paths on disk, fetched at the first call. Throws `Unavailable` when they cannot be had. */
export async function mavenJars(request: JarsRequest): Promise<string[]> {
  const { name, jars, say } = request;
  const target = `${cacheDirectory()}/${name}`;
  const paths = jars.map((jar) => `${target}/${jar.path}`);
  if (await isFile(`${target}/complete`)) return paths;
  await Deno.mkdir(cacheDirectory(), { recursive: true });
  const part = await Deno.makeTempDir({ dir: cacheDirectory(), prefix: `${name}.part-` });
  try {
    say(`fetching the jars of ${name} (once)`);
    await fetchInto(part, request);
    for (const jar of jars) await verify(`${part}/${jar.path}`, jar.sha256);
    await Deno.writeTextFile(`${part}/complete`, "");
    await Deno.rename(part, target).catch(async (error) => {
      // Another process was quicker: its copy is as good.
      if (!(await isFile(`${target}/complete`))) throw error;
    });
  } finally {
    await Deno.remove(part, { recursive: true }).catch(() => {});
  }
  return paths;
}

async function fetchInto(folder: string, request: JarsRequest): Promise<void> {
  const repository = await namedRepository();
  if (await findProgram("mvn") !== undefined) return await withMaven(folder, request);
  if (repository !== undefined) return await overHttp(folder, repository, request.jars);
  const refusal = await aptInstall(["maven"], request.say);
  if (refusal === undefined) return await withMaven(folder, request);
  throw new Unavailable(
    `no mvn on PATH, and neither FLOW_MAVEN_REPOSITORY nor Maven's user settings name a repository (${refusal})`,
  );
}

async function withMaven(folder: string, { name, roots }: JarsRequest): Promise<void> {
  const dependencies = roots.map((root) => {
    const [group, artifact, version] = root.split(":");
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
      `<version>${version}</version></dependency>`;
  });
  await Deno.writeTextFile(
    `${folder}/pom.xml`,
    `<project><modelVersion>4.0.0</modelVersion><groupId>flow.services</groupId>` +
      `<artifactId>${name}</artifactId><version>1</version>` +
      `<dependencies>${dependencies.join("")}</dependencies></project>\n`,
  );
  const done = await run([
    "mvn",
    "--batch-mode",
    "--quiet",
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    "-Dmdep.useRepositoryLayout=true",
    `-DoutputDirectory=${folder}`,
  ], { cwd: folder, timeoutMs: 300_000 });
  if (!done.ok) {
    throw new Unavailable(`Maven could not fetch ${roots.join(", ")}: ${done.complaint}`);
  }
}

async function overHttp(folder: string, repository: string, jars: readonly Jar[]): Promise<void> {
  for (const jar of jars) {
    const url = `${repository.replace(/\/+$/, "")}/${jar.path}`;
    let bytes: Uint8Array;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      bytes = await response.bytes();
    } catch (error) {
      throw new Unavailable(
        `could not fetch ${jar.path} from the Maven repository: ${messageOf(error)}`,
      );
    }
    const path = `${folder}/${jar.path}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, bytes);
  }
}

async function namedRepository(): Promise<string | undefined> {
  const named = Deno.env.get("FLOW_MAVEN_REPOSITORY");
  if (named !== undefined && named !== "") return named;
  try {
    const settings = await Deno.readTextFile(`${Deno.env.get("HOME") ?? ""}/.m2/settings.xml`);
    const uncommented = settings.replace(/<!--[\s\S]*?-->/g, "");
    return uncommented.match(/<mirror>[\s\S]*?<url>\s*(\S+?)\s*<\/url>/)?.[1];
  } catch {
    return undefined;
  }
}

async function verify(path: string, sha256: string): Promise<void> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch {
    throw new Unavailable(`the fetch brought no ${path.slice(path.lastIndexOf("/") + 1)}`);
  }
  const found = createHash("sha256").update(bytes).digest("hex");
  if (found !== sha256) {
    throw new Unavailable(
      `${path.slice(path.lastIndexOf("/") + 1)}: SHA-256 is ${found}, expected ${sha256}`,
    );
  }
}
