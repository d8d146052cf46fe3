/**
 * A copy of the project with only what the program needs: the modules that its entry points reach, and the npm
 * packages that those reach, without type packages and without the native libraries of another C library.
 */

/** What the entry points reach. */
export interface SourceGraph {
  /** Modules of the project, as paths from its root. */
  readonly files: readonly string[];
  /** Folders of npm packages, as paths from the root: `node_modules/.deno/pg@8.0.0`. */
  readonly packages: readonly string[];
  /** The packages' names, for the links that resolution starts from. */
  readonly names: readonly string[];
}

/** The part of `deno info --json` that is read here. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly npmPackage?: string;
    readonly error?: string;
  }[];
  readonly npmPackages: Readonly<
    Record<string, {
      readonly name: string;
      readonly dependencies: readonly string[];
      readonly localPath: string;
    }>
  >;
}

/** Asks Deno for the module graph of the entry points, which are paths from `root` (with a slash at its end). */
export async function readGraph(root: string, entries: readonly string[]): Promise<SourceGraph> {
  const files = new Set<string>();
  const packages = new Map<string, { readonly name: string; readonly folder: string }>();
  for (const entry of entries) {
    const info = await inform(root, entry);
    const base = new URL(`file://${root}`).href;
    const queue: string[] = [];
    for (const { specifier, npmPackage, error } of info.modules) {
      if (error !== undefined) throw new Error(error);
      if (npmPackage !== undefined) queue.push(npmPackage);
      else if (specifier.startsWith(base)) {
        files.add(decodeURIComponent(specifier.slice(base.length)));
      }
    }
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      const found = info.npmPackages[id];
      if (found === undefined || packages.has(id) || !isNeeded(found.name)) continue;
      const folder = found.localPath.match(/node_modules\/\.deno\/[^/]+/)?.[0];
      if (folder === undefined) throw new Error(`${id} is not in node_modules: run deno install`);
      packages.set(id, { name: found.name, folder });
      queue.push(...found.dependencies);
    }
  }
  // A package for another system is in the graph, but is not installed.
  const installed = await Promise.all(
    [...packages.values()].map(({ folder }) => exists(root + folder)),
  );
  const there = [...packages.values()].filter((_, i) => installed[i]);
  return {
    files: [...files].sort(),
    packages: [...new Set(there.map(({ folder }) => folder))].sort(),
    names: [...new Set(there.map(({ name }) => name))].sort(),
  };
}

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
  for (const path of graph.packages) await copyTree(`${root}${path}`, `${folder}/${path}`);
  for (const name of graph.names) {
    const link = `node_modules/${name}`;
    if (await exists(root + link)) await copyLink(`${root}${link}`, `${folder}/${link}`);
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    // No program needs a package's tests, and Deno 2.7.14 overflows its stack over a data file in those of bintrees.
    if (entry.name === "test") continue;
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) await copyTree(source, target);
    else if (entry.isSymlink) await copyLink(source, target);
    else await copy(source, target);
  }
}

/** Packages are large and never changed in place: a second name for the same file will do. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  await Deno.link(from, to).catch(() => Deno.copyFile(from, to));
}

async function copyLink(from: string, to: string): Promise<void> {
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  await Deno.symlink(await Deno.readLink(from), to);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}
