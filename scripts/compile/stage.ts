/**
 * A copy of the project with only what the program needs: the modules that its entry points reach, and the npm
 * packages that those reach, without type packages and without the native libraries of another C library.
 */

/** What the entry points reach. */
export interface SourceGraph {
  /** Modules of the project, as paths from its root. */
  readonly files: readonly string[];
  /** Folders of npm packages in the copy, as paths from its root, with the installed folders that they are copies of. */
  readonly packages: ReadonlyMap<string, string>;
}

/** The part of `deno info --json` that is read here. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly npmPackage?: string;
    readonly error?: string;
  }[];
  readonly npmPackages: Readonly<Record<string, NpmPackage>>;
}

interface NpmPackage {
  readonly name: string;
  readonly dependencies: readonly string[];
  readonly localPath: string;
}

/** Asks Deno for the module graph of the entry points, which are paths from `root` (with a slash at its end). */
export async function readGraph(root: string, entries: readonly string[]): Promise<SourceGraph> {
  const files = new Set<string>();
  const reached = new Set<string>();
  const known = new Map<string, NpmPackage>();
  const base = new URL(`file://${root}`).href;
  for (const entry of entries) {
    const info = await inform(root, entry);
    for (const { specifier, npmPackage, error } of info.modules) {
      if (error !== undefined) throw new Error(error);
      if (npmPackage !== undefined) reached.add(npmPackage);
      else if (specifier.startsWith(base)) {
        files.add(decodeURIComponent(specifier.slice(base.length)));
      }
    }
    for (const [id, found] of Object.entries(info.npmPackages)) {
      // A package for another system is in the graph, but is not installed.
      if (isNeeded(found.name) && await exists(found.localPath)) known.set(id, found);
    }
  }
  return { files: [...files].sort(), packages: placePackages([...reached], known) };
}

/**
 * Where the packages go: all into one `node_modules`, and into a package's own one only what it needs in another version. Deno's way, a folder
 * for each and symbolic links between them, is not for programs that extract themselves: two that are started for the first time at once
 * stumble over one another's links.
 *
 * @param ids packages that the project imports
 * @param known all packages that may be needed
 */
export function placePackages(
  ids: readonly string[],
  known: ReadonlyMap<string, NpmPackage>,
): ReadonlyMap<string, string> {
  const placed = new Map<string, string>();
  const place = (wanted: readonly string[], seen: readonly [string, ...string[]]) => {
    const added: { dependencies: readonly string[]; seen: readonly [string, ...string[]] }[] = [];
    for (const { name, localPath, dependencies } of wanted.flatMap((id) => known.get(id) ?? [])) {
      const found = seen.map((folder) => placed.get(`${folder}/${name}`))
        .find((path) => path !== undefined);
      if (found === localPath) continue;
      const visible = found === undefined ? [TOP] as const : seen;
      const path = `${visible[0]}/${name}`;
      if (placed.has(path)) throw new Error(`${name} is imported in two versions: ${localPath}`);
      placed.set(path, localPath);
      added.push({ dependencies, seen: [`${path}/node_modules`, ...visible] });
    }
    // Only now: what lies in a package's own folder is seen by those in there with it.
    for (const { dependencies, seen } of added) place(dependencies, seen);
  };
  place(ids, [TOP]);
  return placed;
}

const TOP = "node_modules";

function isNeeded(name: string): boolean {
  return !name.startsWith("@types/") && !name.endsWith("-musl");
}

async function inform(root: string, entry: string): Promise<Info> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: root,
    stdin: "null",
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`deno info ${entry} failed:\n${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout)) as Info;
}

/** Fills `folder` (on the same disk as `root`). */
export async function stage(root: string, folder: string, graph: SourceGraph): Promise<void> {
  const settings = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  // The copied node_modules is to be taken as it is, neither completed nor compared with a lock file.
  const staged = { ...settings, nodeModulesDir: "manual", lock: false, tasks: {}, lint: {} };
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(staged));
  // The program itself imports the settings, for its version; it gets the staged ones.
  const files = graph.files.filter((file) => file !== "deno.json");
  for (const file of files) await copy(`${root}${file}`, `${folder}/${file}`);
  for (const [to, from] of graph.packages) await copyTree(from, `${folder}/${to}`);
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    // No program needs a package's tests, and Deno 2.7.14 overflows its stack over a data file in those of bintrees.
    if (entry.name === "test") continue;
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) await copyTree(source, target);
    else await copy(source, target);
  }
}

/** Packages are large and never changed in place: a second name for the same file will do. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  await Deno.link(from, to).catch(() => Deno.copyFile(from, to));
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}
