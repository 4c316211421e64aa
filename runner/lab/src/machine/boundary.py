# QEMU takes the processor for idle at each stop, and its clock jumps to the next timer that there
# is. So while the machine may stop there is a second filter on the wire that leads nowhere, which
# has a timer soon. It becomes coarser the longer a command waits, as each of its timers wakes QEMU
# up while the guest is idle, too, and is taken away when nothing can stop the machine.
import gdb


class TheseusTick:
    def __init__(self):
        self.interval = None

    def set(self, can_stop):
        can_stop = can_stop or any(stop.enabled and stop.number > 0 for stop in gdb.breakpoints())
        self.change(FINE if can_stop else None)

    def change(self, interval):
        if interval == self.interval:
            return
        if self.interval:
            gdb.execute('monitor object_del fine', to_string=True)
        if interval:
            options = f'filter-buffer,id=fine,netdev=tick,interval={interval}'
            gdb.execute(f'monitor object_add {options}', to_string=True)
        self.interval = interval


# The boundary between two commands of the guest, which the agent also calls while a command waits.
class TheseusBoundary(gdb.Breakpoint):
    WAITS = 3

    def __init__(self, address, tick):
        super().__init__(f'*{address}', type=gdb.BP_HARDWARE_BREAKPOINT, internal=True)
        self.tick = tick

    def stop(self):
        waits = int(gdb.parse_and_eval('$rdi')) == self.WAITS
        if waits and self.tick.interval:
            self.tick.change(min(30 * self.tick.interval, COARSE))
        return not waits
