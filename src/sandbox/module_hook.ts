/** The global function that a module of the user's calls when its own code begins to run, with its number in the graph. */
export const BEGIN_HOOK = "__flowModuleBegins";
