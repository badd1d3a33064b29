/**
 * What Python may call outside of its memory once the script is compiled: the system that Emscripten plays to it, and what hands a
 * unit in and its value out. Whatever else leads to JavaScript, and ends the Python that calls it, however it came to.
 */

/** What Emscripten gives the WebAssembly of Python to import, by name. `sig` is the type it has for C. */
export type Imports = Record<string, unknown>
type Import = ((...given: unknown[]) => unknown) & { sig?: string }

/** Files, memory, clocks, the end of the process: what is behind them is put back, or of the unit alone. */
const SYSTEM = new Set(
  `__assert_fail __call_sighandler _abort_js _emscripten_get_progname _emscripten_system _gmtime_js _localtime_js _maybe_poll_async
  _mktime_js _mmap_js _msync_js _munmap_js _Py_CheckEmscriptenSignals_Helper _Py_emscripten_runtime _timegm_js _try_fcntl64 _tzset_js
  clock_res_get clock_time_get emscripten_date_now emscripten_get_heap_max emscripten_get_now emscripten_resize_heap
  environ_get environ_sizes_get exit fd_close fd_fdstat_get fd_pread fd_pwrite fd_read fd_seek fd_sync fd_write ffi_call_js proc_exit
  random_get`.split(/\s+/),
)
/** Parameters of the driver and what it returns: numbers and texts. */
const HANDED = new Set(
  `_python2js_ascii _python2js_ucs1 _python2js_ucs2 _python2js_ucs4 js2python_js JsvArray_Get JsvNoValue_Check pyproxy_Check`.split(
    /\s+/,
  ),
)
/** Functions for C, and compiled extensions: they go to a table, and to lists of Emscripten's, that are not put back. */
const ADDS_FUNCTIONS = /^(ffi_(closure|prep_closure)_|_dlopen_js$|_dlsym_js$)/

const isSystem = (name: string): boolean => SYSTEM.has(name) || name.startsWith('__syscall_')

/** What Emscripten would keep from one unit to the next, or what waits for a world outside: refused as an error of the system. */
const REFUSED: Readonly<Record<string, number>> = {
  // Addresses are made up and counted, as are pipes and sockets.
  getaddrinfo: -4,
  getnameinfo: -4,
  getprotobyname: 0,
  _emscripten_lookup_name: 0,
  // It loads a library later.
  _emscripten_dlopen_js: 0,
  __syscall_pipe: -52,
  __syscall_socket: -5,
}

export class Guard {
  #isShut = false
  #addedFunctions = false

  /** Before the WebAssembly is instantiated. Compiled extensions are given the same imports. */
  watch(imports: Imports): void {
    for (const [name, error] of Object.entries(REFUSED)) imports[name] = () => error
    for (const [name, given] of Object.entries(imports)) {
      if (typeof given !== 'function' || isSystem(name) || HANDED.has(name) || name in REFUSED) continue
      const { sig } = given as Import
      imports[name] = Object.assign((...of: unknown[]) => this.#call(name, given as Import, of), { sig })
    }
  }

  /** From now on. */
  shut(): void {
    this.#isShut = true
  }

  /** Whether there are functions that were not, which nothing takes away. */
  get addedFunctions(): boolean {
    return this.#addedFunctions
  }

  #call(name: string, given: Import, of: unknown[]): unknown {
    if (this.#isShut) {
      if (!ADDS_FUNCTIONS.test(name)) throw new Error(`it called ${name}, which leads out of Python`)
      this.#addedFunctions = true
    }
    return given(...of)
  }
}
