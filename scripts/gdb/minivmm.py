"""minivmm's side of GDB: `source scripts/gdb/minivmm.py`, before or after `target remote`; docs/debugging-linux.md shows it at work.

- A cache for the guest's memory: most of GDB's packets are reads of a few bytes each.
- The kernel's symbols are where the kernel runs: at physical addresses while PC is one, and with KASLR at the addresses that were drawn,
  also after vmlinux has been loaded again, as lx-symbols does.
- `minivmm ...`: the stub's monitor commands with GDB's help, completion and expressions.
"""

import struct

import gdb

MASK = 0xFFFFFFFFFFFFFFFF


class Kernel:
    """What `monitor kernel` says."""

    def __init__(self, text):
        fields = dict(line.split(None, 1) for line in text.splitlines() if " " in line.strip())
        start, _, end = fields["image"].partition("..")
        # Where the Image lies in physical memory.
        self.start, self.end = int(start, 16), int(end, 16)
        # How far from its link address the kernel runs, or None while nobody knows.
        self.slide = None if fields["slide"] == "unknown" else int(fields["slide"], 16)


def ask_kernel():
    """The guest's kernel; None without a guest, with another stub than minivmm's, or for a guest that is no kernel."""
    connection = gdb.selected_inferior().connection
    if connection is None or connection.type not in ("remote", "extended-remote"):
        return None
    try:
        return Kernel(gdb.execute("monitor kernel", to_string=True))
    except (gdb.error, KeyError, ValueError):
        return None


def link_address(path):
    """Where _text is linked, which is the kernel's entry point (arch/arm64/kernel/vmlinux.lds.S)."""
    with open(path, "rb") as file:
        header = file.read(32)
    # ELF64, little-endian: e_entry is at 24 (System V ABI, ELF Header).
    return struct.unpack_from("<Q", header, 24)[0] if header[:6] == b"\x7fELF\x02\x01" else None


def quoted(path):
    """One word for GDB's commands that take files."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Arrival(gdb.Breakpoint):
    """Where the kernel comes to its virtual addresses. Symbols change here, and not at the next stop: GDB loses its place in a breakpoint
    whose locations change while it is stopped there."""

    def __init__(self, spec, symbols):
        super().__init__(spec, internal=True)
        self.silent = True
        self.symbols = symbols

    def stop(self):
        self.symbols.remove_early()
        return False


class Symbols:
    """Keeps vmlinux where the kernel runs."""

    def __init__(self):
        self.forget()
        # The objfile at physical addresses, while there is one, and the breakpoints that end it.
        self.early = None
        self.arrivals = []
        gdb.events.stop.connect(self.on_stop)
        gdb.events.exited.connect(self.forget)
        gdb.events.connection_removed.connect(self.forget)

    def disconnect(self):
        gdb.events.stop.disconnect(self.on_stop)
        gdb.events.exited.disconnect(self.forget)
        gdb.events.connection_removed.disconnect(self.forget)
        self.remove_early()

    def forget(self, _event=None):
        """There is another guest from here on, or none."""
        self.kernel = None
        self.has_asked = False
        self.is_placed = False

    def on_stop(self, _event):
        # GDB has told the place already, without the symbols for it.
        if self.update():
            gdb.execute("frame")

    def update(self):
        """Puts the symbols where the kernel is now. Returns whether PC has become known by that."""
        if not self.has_asked:
            self.kernel = ask_kernel()
            self.has_asked = True
        path = gdb.current_progspace().filename
        if self.kernel is None or path is None:
            return False
        link = link_address(path)
        if link is None:
            return False
        if not self.is_placed:
            self.place(path, link)
        pc = int(gdb.parse_and_eval("(unsigned long) $pc"))
        # At EL0 a program may run at the same numbers (PSTATE.EL).
        is_kernel = int(gdb.parse_and_eval("$cpsr")) & 0b1100 != 0
        if is_kernel and self.kernel.start <= pc < self.kernel.end:
            return self.add_early(path, link)
        self.remove_early()
        self.remove_arrivals()
        return False

    def place(self, path, link):
        """Moves vmlinux to where the kernel runs, once that is known."""
        if self.kernel.slide is None:
            self.kernel = ask_kernel() or self.kernel
        if self.kernel.slide is None:
            return
        self.remove_early()
        try:
            text = int(gdb.parse_and_eval("(unsigned long) &_text"))
        except gdb.error:
            # Another program's symbols, or none.
            return
        if text != (link + self.kernel.slide) & MASK:
            gdb.execute(f"symbol-file {quoted(path)} -o {self.kernel.slide:#x}", to_string=True)
        self.is_placed = True

    def add_early(self, path, link):
        if self.early is not None and self.early.is_valid():
            return False
        if not self.arrivals and self.is_placed:
            for name in ("__primary_switched", "__secondary_switched"):
                self.arrivals.append(Arrival(f"*{address('&' + name):#x}", self))
        before = gdb.objfiles()
        gdb.execute(f"add-symbol-file {quoted(path)} -o {(self.kernel.start - link) & MASK:#x}", to_string=True)
        self.early = next((objfile for objfile in gdb.objfiles() if objfile not in before), None)
        return True

    def remove_early(self):
        if self.early is not None and self.early.is_valid():
            gdb.execute(f"remove-symbol-file -a {self.kernel.start:#x}", to_string=True)
        self.early = None

    def remove_arrivals(self):
        for arrival in self.arrivals:
            if arrival.is_valid():
                arrival.delete()
        self.arrivals = []


def address(expression):
    """The address that an expression means: of a function, an array or a struct its own, else its value."""
    try:
        value = gdb.parse_and_eval(expression)
    except gdb.error as error:
        raise gdb.GdbError(str(error)) from error
    if value.type.strip_typedefs().code in (gdb.TYPE_CODE_FUNC, gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        value = value.address
    return int(value) & MASK


class Monitor(gdb.Command):
    """A command of the stub's."""

    def __init__(self, name, document, phrases=()):
        self.name = name
        # What may stand behind the name, for completion.
        self.phrases = phrases
        self.__doc__ = f"{document}\n\nminivmm help {name} has the details."
        super().__init__(f"minivmm {name}", gdb.COMMAND_STATUS)

    def complete(self, text, _word):
        *before, start = text.split(" ")
        phrases = (phrase.split(" ") for phrase in self.phrases)
        nexts = (phrase[len(before)] for phrase in phrases if phrase[: len(before)] == before and len(phrase) > len(before))
        return sorted({word for word in nexts if word.startswith(start)})

    def invoke(self, argument, _from_tty):
        words = self.translate(argument)
        try:
            gdb.execute(f"monitor {self.name}{words}")
        except gdb.error as error:
            raise gdb.GdbError(str(error)) from error

    def translate(self, argument):
        """The rest of the line as the stub takes it."""
        return f" {argument}" if argument else ""


class MonitorAt(Monitor):
    """One that ends in an address, which here is any expression, or in one of a few words."""

    def complete(self, _text, _word):
        return gdb.COMPLETE_EXPRESSION

    def translate(self, argument):
        if argument in self.phrases:
            return super().translate(argument)
        # /4gx is the stub's to read.
        form, _, expression = argument.partition(" ") if argument.startswith("/") else ("", "", argument)
        return f"{form} {address(expression):#x}" if expression.strip() else form


class Reset(Monitor):
    """reset: nothing that GDB knew of the guest is so any more."""

    def invoke(self, argument, from_tty):
        super().invoke(argument, from_tty)
        gdb.execute("maintenance flush register-cache", to_string=True)
        gdb.execute("maintenance flush dcache", to_string=True)
        symbols.forget()
        symbols.update()
        gdb.execute("frame")


class Place(gdb.Command):
    """Put the kernel's symbols where it runs.

That happens by itself at each stop, and after `file' and `symbol-file'."""

    def __init__(self):
        super().__init__("minivmm symbols", gdb.COMMAND_FILES, gdb.COMPLETE_NONE)

    def invoke(self, _argument, _from_tty):
        symbols.forget()
        symbols.update()


class Prefix(gdb.Command):
    """minivmm, the machine around the guest."""

    def __init__(self, name, document):
        self.__doc__ = document
        super().__init__(name, gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


def define_commands():
    Prefix("minivmm", "Look at the guest as minivmm sees it; each is a monitor command of the stub's as well.")
    Prefix("minivmm info", "About the machine.")
    MonitorAt("translate", "Walk the page tables for an address: minivmm translate &init_task")
    MonitorAt("xp", "Examine physical memory: minivmm xp/4xg 0x40000000")
    MonitorAt("pagetable", "Summarise what is mapped: minivmm pagetable upper", ("lower", "upper"))
    Monitor("vcpus", "List the vCPUs.")
    Monitor("exits", "Count exits by reason and by device.", ("reset",))
    Monitor("gic", "Show interrupts: enabled, pending, active.", ("all",))
    Monitor("timers", "Show the timers.")
    Monitor("dtb", "Show the device tree.")
    Monitor("kernel", "Show where the kernel lies in memory, and where it runs.")
    Monitor("info registers", "Show all registers, those of the system too.", ("all",))
    Monitor("info version", "Show minivmm's version.")
    Monitor("catch", "Stop when the guest gets into trouble.", ("brk on", "brk off", "panic on", "panic off", "exception off"))
    Monitor("help", "Tell about the monitor commands.")
    Monitor("quit", "End minivmm.")
    Reset("reset", "Start the guest again.")
    Place()


# Loaded again: the new one takes over.
if hasattr(gdb, "minivmm_symbols"):
    gdb.minivmm_symbols.disconnect()
gdb.minivmm_symbols = symbols = Symbols()
define_commands()
if "no memory regions" in gdb.execute("info mem", to_string=True):
    gdb.execute("mem 0 0 rw cache")
gdb.execute("set dcache line-size 1024")
# 16 MiB in all, of which GDB allocates what it uses: lx-ps takes about 2 KiB for each task, and some log buffers have megabytes.
gdb.execute("set dcache size 16384")
# These two load vmlinux where it is linked. lx-symbols uses one of them, and goes on to look at the kernel.
for loads in ("file", "symbol-file"):
    gdb.execute(f"define hookpost-{loads}\nminivmm symbols\nend")
