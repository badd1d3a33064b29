"""Runs units. Part of the snapshot; what it changes while a unit runs is put back with all other memory."""

import ast
import asyncio
import atexit
import gc
import importlib
import inspect
import json
import math
import os
import random
import struct
import sys
import time
import traceback
import types
import zipfile

HOME = "/unit"
PACKAGES = "/packages"
CLOCK = "/dev/clock"
CHECKPOINT = "/dev/checkpoint"
FUNCTION = "unit"
# What a JSON number holds exactly.
INTEGER_MAX = 2**53 - 1
KEY_SHOWN_CHARS = 80
FRAMES_SHOWN = 30


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def connect(message_max_chars, depth_max, checkpoint_max_bytes):
    """Once, when it is loaded."""
    # That of a list is made for what it can do; the one before `object` is that of all that is JavaScript.
    _let_go_of_javascript(type(sys.modules["_pyodide_core"].to_js([])).__mro__[-2])
    _limits.message_chars, _limits.depth = message_max_chars, depth_max
    _limits.checkpoint_bytes = checkpoint_max_bytes


def prepare(path):
    """Once, before any unit: compiles the file. What is wrong with it is told by `run`."""
    os.chdir(HOME)
    sys.path[:0] = [os.path.join(HOME, os.path.dirname(path)), HOME, PACKAGES]
    _unpack_wheels()
    importlib.invalidate_caches()
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(), path)
        _task.code = compile(tree, path, "exec")
        _task.path = path
        _task.has_function = any(map(_brings_function, tree.body))
    except BaseException as error:
        _task.fault = Refused("E_SOURCE", _last_lines(error))


def is_script():
    """Whether the value of a unit is what it prints."""
    return not _task.has_function


def run(unit, seed, params, resumed):
    """Returns a JSON text: `[null, value]`, or `[code, message]`."""
    try:
        return json.dumps([None, _run(unit, seed, json.loads(params), json.loads(resumed))], ensure_ascii=False, allow_nan=False)
    except Refused as refused:
        return json.dumps([refused.code, str(refused)])
    except MemoryError:
        return '["E_MEMORY", "the memory limit was reached"]'
    except BaseException as error:
        return json.dumps(_failure(error))


class _limits:
    message_chars = 0
    depth = 0
    checkpoint_bytes = 0


class _task:
    code = None
    path = ""
    has_function = False
    fault = None


def _run(unit, seed, params, resumed):
    if _task.fault is not None:
        raise _task.fault
    random.seed()
    facts = sys.modules["talkoot"] = types.ModuleType("talkoot")
    facts.unit, facts.seed, facts.checkpoint, facts.resumed = unit, seed, _checkpoint, resumed
    try:
        return _plain(_call(params), "value", 0) if _task.has_function else _execute(params)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()


def _call(params):
    name = os.path.splitext(os.path.basename(_task.path))[0]
    function = _load(name)[FUNCTION]
    try:
        bound = inspect.signature(function).bind(**params)
    except TypeError as error:
        raise Refused("E_INPUT", f"{FUNCTION}(): {error}") from None
    value = function(*bound.args, **bound.kwargs)
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def _execute(params):
    words = ((f"--{name}", value if isinstance(value, str) else json.dumps(value)) for name, value in params.items())
    sys.argv = [_task.path, *(word for pair in words for word in pair)]
    try:
        _load("__main__")
    except SystemExit as exit:
        if exit.code not in (None, 0):
            raise
    return None


def _checkpoint(state):
    """Saves a state to go on from if the unit is stopped: what a value may be."""
    try:
        text = json.dumps(_plain(state, "value", 0), ensure_ascii=False, separators=(",", ":")).encode()
    except (Refused, UnicodeEncodeError) as refused:
        raise Refused("E_CHECKPOINT", f"checkpoint: {refused}") from None
    if len(text) > _limits.checkpoint_bytes:
        raise Refused("E_CHECKPOINT", f"checkpoint: it is over {_limits.checkpoint_bytes} bytes")
    _tell(CHECKPOINT, text)


def _load(name):
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = f"{HOME}/{_task.path}"
    exec(_task.code, module.__dict__)
    return module.__dict__


def _brings_function(statement):
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name == FUNCTION
        case ast.ImportFrom(names=names):
            return any((given.asname or given.name) == FUNCTION for given in names)
    return False


def _let_go_of_javascript(proxy):
    """Scripts have no use for it, and what they leave on its objects is in no memory that is put back."""
    for holder in gc.get_objects():
        names = holder if type(holder) is dict else getattr(holder, "__dict__", None)
        if type(names) is dict:
            names.update((name, None) for name, value in list(names.items()) if isinstance(value, proxy))
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("_pyodide")]
    for name in list(sys.modules):
        if name.split(".")[0] in _JAVASCRIPT:
            del sys.modules[name]
    sys.modules.update(dict.fromkeys(_JAVASCRIPT))


_JAVASCRIPT = {"js", "pyodide_js", "pyodide", "_pyodide", "_pyodide_core"}


def _unpack_wheels():
    for name in sorted(os.listdir(HOME)):
        if name.endswith(".whl"):
            with zipfile.ZipFile(name) as wheel:
                wheel.extractall(PACKAGES)


def _plain(value, path, depth):
    """The value as JSON has it. Refuses what JSON cannot say exactly."""
    if depth >= _limits.depth:
        raise _unsayable(path, f"deeper than {_limits.depth} levels, or holds itself")
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise _unsayable(path, "an integer beyond 2**53 - 1")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _unsayable(path, f"{value}: JSON has no such number; give None or a text in its place")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {_key(key, path): _plain(item, f"{path}.{str(key)[:KEY_SHOWN_CHARS]}", depth + 1) for key, item in value.items()}
    # Arrays and numbers of array libraries, and of `array`.
    if callable(getattr(value, "tolist", None)):
        return _plain(value.tolist(), path, depth + 1)
    raise _unsayable(path, f"an instance of {type(value).__qualname__}")


def _key(key, path):
    if isinstance(key, str):
        return key
    raise _unsayable(path, f"a dict with a key that is no string: {repr(key)[:KEY_SHOWN_CHARS]}")


def _unsayable(path, what):
    return Refused("E_RESULT_TYPE", f"{path} is {what}")


def _failure(error):
    match error:
        case SystemExit():
            return ["E_EXIT", f"exit {error.code}"]
        case ModuleNotFoundError():
            return ["E_IMPORT", _last_lines(error)]
        case Stuck():
            return ["E_NEVER_SETTLED", _last_lines(error)]
    return ["E_TASK_THREW", _last_lines(error)]


def _last_lines(error):
    """As Python itself says it, from the first line of the user's own on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    told = "".join(traceback.format_exception(type(error), error, trace, limit=-FRAMES_SHOWN)).strip()
    # What went wrong is told last.
    left_out = len(told) - _limits.message_chars
    return told if left_out <= 0 else "..." + told[left_out + 3 :]


class Stuck(RuntimeError):
    pass


class _Selector:
    """Nothing comes from outside: what is waited for is only ever a time."""

    def select(self, timeout=None):
        if timeout is None:
            raise Stuck("nothing is left that could end the wait")
        if timeout > 0:
            _move_clock(timeout * 1000)
        return []


class _Loop(asyncio.BaseEventLoop):
    def __init__(self):
        super().__init__()
        self._selector = _Selector()

    def _process_events(self, events):
        return

    def _write_to_self(self):
        return


class _Policy(asyncio.events._BaseDefaultEventLoopPolicy):
    _loop_factory = _Loop


def _sleep(seconds, /):
    """Returns at once: the clock has moved on by so much."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    _move_clock(seconds * 1000)


def _move_clock(ms):
    _tell(CLOCK, struct.pack("<d", ms))


def _tell(path, content):
    device = os.open(path, os.O_WRONLY)
    try:
        os.write(device, content)
    finally:
        os.close(device)


time.sleep = _sleep
# Pyodide's own hands over to the event loop of a browser.
asyncio.run = asyncio.runners.run
asyncio.events._set_running_loop(None)
asyncio.events._set_event_loop_policy(_Policy())
