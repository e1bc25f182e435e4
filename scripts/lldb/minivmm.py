"""minivmm's side of LLDB: `command script import scripts/lldb/minivmm.py`, with a target there; docs/debugging-linux.md shows it at work.

- The kernel's symbols are where the kernel runs. A module of LLDB's has one place at a time: physical addresses while PC is one,
  virtual ones from where the kernel comes to them.
- `minivmm ...`: the stub's monitor commands with LLDB's help and expressions.
"""

import shlex

import lldb

MASK = 0xFFFFFFFFFFFFFFFF

# The name of breakpoints that are not the user's.
ARRIVAL = "minivmm_arrival"

# What there is, and what LLDB's help says of it. Those with True end in an address, which here is any expression.
COMMANDS = {
    "catch": ("Stop when the guest gets into trouble: catch brk on.", False),
    "dtb": ("Show the device tree.", False),
    "exits": ("Count exits by reason and by device.", False),
    "gic": ("Show interrupts: enabled, pending, active.", False),
    "help": ("Tell about the monitor commands.", False),
    "info": ("Show all registers, or minivmm's version: info registers, info version.", False),
    "kernel": ("Show where the kernel lies in memory, and where it runs.", False),
    "pagetable": ("Summarise what is mapped: minivmm pagetable upper.", True),
    "reset": ("Start the guest again.", False),
    "quit": ("End minivmm.", False),
    "timers": ("Show the timers.", False),
    "translate": ("Walk the page tables for an address: minivmm translate &init_task.", True),
    "vcpus": ("List the vCPUs.", False),
    "xp": ("Examine physical memory: minivmm xp /4xg 0x40000000.", True),
}


def monitor(debugger, words):
    """What a monitor command says: (text, None), or (None, error)."""
    result = lldb.SBCommandReturnObject()
    debugger.GetCommandInterpreter().HandleCommand(f"process plugin packet monitor {words}", result)
    if not result.Succeeded():
        return None, result.GetError()
    # LLDB shows the packet behind it.
    text, _, _ = result.GetOutput().partition("\n  packet: ")
    return text, None


def ask_kernel(debugger):
    """Where the Image lies in physical memory, and how far from its link address it runs; None for each if nobody knows."""
    text, _ = monitor(debugger, "kernel")
    fields = dict(line.split(None, 1) for line in (text or "").splitlines() if " " in line.strip())
    try:
        start, _, end = fields["image"].partition("..")
        image = range(int(start, 16), int(end, 16))
        return image, None if fields["slide"] == "unknown" else int(fields["slide"], 16)
    except (KeyError, ValueError):
        return None, None


def kernel_module(target):
    """vmlinux among the target's modules, and where its _text is linked."""
    for module in target.module_iter():
        text = module.FindSymbol("_text")
        if text.IsValid():
            return module, text.GetStartAddress().GetFileAddress()
    return None, None


def place(target):
    """Puts vmlinux where the kernel is now."""
    module, link = kernel_module(target)
    frame = target.GetProcess().GetSelectedThread().GetFrameAtIndex(0)
    if module is None or not frame.IsValid():
        return
    image, slide = ask_kernel(target.GetDebugger())
    if image is None:
        return
    # At EL0 a program may run at the same numbers (PSTATE.EL).
    is_kernel = frame.FindRegister("cpsr").GetValueAsUnsigned() & 0b1100 != 0
    if is_kernel and frame.GetPC() in image:
        move(target, module, image.start - link)
        if slide is not None:
            expect_arrival(target, module, slide)
    else:
        for identifier in arrivals(target):
            target.BreakpointDelete(identifier)
        if slide is not None:
            move(target, module, slide)


def move(target, module, slide):
    """Unless it is there: LLDB looks for every breakpoint again."""
    text = module.FindSymbol("_text").GetStartAddress()
    if text.GetLoadAddress(target) != (text.GetFileAddress() + slide) & MASK:
        # A breakpoint of a module that is loaded stays where it was.
        target.ClearModuleLoadAddress(module)
        target.SetModuleLoadAddress(module, slide & MASK)


def forget(target):
    """Has LLDB ask for registers again: it does where a module has changed its place."""
    module, _ = kernel_module(target)
    if module is not None:
        target.ClearModuleLoadAddress(module)
        place(target)


def arrivals(target):
    """The breakpoints of `expect_arrival`."""
    breakpoints = (target.GetBreakpointAtIndex(index) for index in range(target.GetNumBreakpoints()))
    return [breakpoint.GetID() for breakpoint in breakpoints if breakpoint.MatchesName(ARRIVAL)]


def expect_arrival(target, module, slide):
    """Has the symbols moved, unseen, where the kernel comes to its virtual addresses: no breakpoint at these is found before."""
    if arrivals(target):
        return
    rights = lldb.SBBreakpointName(target, ARRIVAL)
    rights.SetAllowDelete(False)
    rights.SetAllowDisable(False)
    rights.SetAllowList(False)
    for name in ("__primary_switched", "__secondary_switched"):
        address = module.FindSymbol(name).GetStartAddress().GetFileAddress()
        breakpoint = target.BreakpointCreateByAddress((address + slide) & MASK)
        breakpoint.SetScriptCallbackFunction(f"{__name__}.arrived")
        breakpoint.AddName(ARRIVAL)


def arrived(frame, _location, _extra, _internal):
    """What a breakpoint calls. False has the guest run on."""
    target = frame.GetThread().GetProcess().GetTarget()
    module, _ = kernel_module(target)
    _, slide = ask_kernel(target.GetDebugger())
    if module is not None and slide is not None:
        move(target, module, slide)
    return False


class StopHook:
    """At each stop that the user sees."""

    def __init__(self, target, _extra, _internal):
        self.target = target

    def handle_stop(self, _context, _stream):
        place(self.target)
        return True


class Arguments(Exception):
    """What was typed cannot be understood."""


def words_for(name, typed, context):
    """The rest of the line as the stub takes it."""
    if not COMMANDS[name][1] or not typed or typed in ("lower", "upper"):
        return typed
    # /4xg is the stub's to read.
    form, _, expression = typed.partition(" ") if typed.startswith("/") else ("", "", typed)
    place = context.frame if context.frame and context.frame.IsValid() else context.target
    value = place.EvaluateExpression(expression)
    if not value.GetError().Success():
        raise Arguments(value.GetError().GetCString())
    return f"{form} {value.GetValueAsUnsigned():#x}"


def run(name, debugger, typed, context, result):
    try:
        words = words_for(name, typed.strip(), context)
    except Arguments as error:
        result.SetError(str(error))
        return
    text, error = monitor(debugger, f"{name}{words}" if words.startswith("/") else f"{name} {words}")
    if error is not None:
        result.SetError(error)
        return
    result.AppendMessage(text.rstrip("\n"))
    if name == "reset":
        forget(context.target)


def symbols(debugger, _typed, context, _result, _internal):
    """Put the kernel's symbols where it runs; that happens by itself at each stop but the one at the connection."""
    place(context.target)


def define(debugger, name, function, document):
    function = f"{__name__}.{function}"
    debugger.HandleCommand(f"command script add --overwrite --function {function} --help {shlex.quote(document)} minivmm {name}")


def __lldb_init_module(debugger, _internal):
    debugger.HandleCommand("command container add --overwrite --help 'The machine around the guest.' minivmm")
    for name, (document, _) in COMMANDS.items():
        # LLDB calls functions by their names.
        globals()[f"run_{name}"] = lambda debugger, typed, context, result, _internal, name=name: run(name, debugger, typed, context, result)
        define(debugger, name, f"run_{name}", document)
    define(debugger, "symbols", "symbols", symbols.__doc__)
    if not hasattr(lldb, "minivmm"):
        debugger.HandleCommand(f"target stop-hook add -P {__name__}.StopHook")
        lldb.minivmm = True
    debugger.HandleCommand("settings set target.process.memory-cache-line-size 1024")
