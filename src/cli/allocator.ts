/** Settings of the allocators of the C library and of the engine, made once before anything large is allocated. */

/** Numbers of glibc's `malloc.h`. */
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;

const ARENAS = 2;
const MMAP_THRESHOLD_BYTES = 1024 * 1024;

/** Where the engine's own allocator (jemalloc) looks for settings when its library is loaded. */
const ENGINE_SETTINGS = "DUCKDB_JE_MALLOC_CONF";
/**
 * One pool, and what was freed goes back after 50 ms instead of a second: a batch's tables are dropped about as often as that, and the engine
 * would hold several batches' worth of free memory (measured with Kafka to Postgres: 40 MB less at the peak, no more CPU).
 */
const ENGINE_POOLS = "narenas:1,dirty_decay_ms:50,muzzy_decay_ms:0";

/** Settles both. To be called before the engine's library is loaded; what the environment says already stays. */
export function settleAllocator(): void {
  settleEngine();
  settleLibc();
}

function settleEngine(): void {
  try {
    if (Deno.env.get(ENGINE_SETTINGS) === undefined) Deno.env.set(ENGINE_SETTINGS, ENGINE_POOLS);
  } catch {
    // Started without the permission: it is a matter of memory only.
  }
}

/**
 * Keeps resident memory flat. The engine allocates a batch's blocks on many threads and frees them on others; glibc keeps what is freed in one
 * pool per thread and, growing its threshold as it goes, hardly gives large blocks back. Two pools and a fixed threshold cut the
 * peak by a third (measured: 550 to 370 MB while loading 1,000,000 rows). Elsewhere than on glibc, or where native calls are not
 * allowed, nothing is changed.
 */
function settleLibc(): void {
  if (Deno.build.os !== "linux") return;
  try {
    const libc = Deno.dlopen(
      "libc.so.6",
      { mallopt: { parameters: ["i32", "i32"], result: "i32" } } as const,
    );
    libc.symbols.mallopt(M_ARENA_MAX, ARENAS);
    libc.symbols.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    libc.close();
  } catch {
    // It is a matter of memory only.
  }
}
