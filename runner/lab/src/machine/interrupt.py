# Ctrl-C in a shell of the guest. The kernel is about to idle, at the entry of arch_cpu_idle: a
# moment at which it holds no lock, and from which it looks for work again. In place of that
# function it runs send_sig() once, for one of the processes that the shell has started and that has
# not had the signal. The shell itself goes on, and what it has put into the background ignores it.
import gdb
from linux import tasks


class TheseusInterrupt:
    # There is a weak one as well, in kernel/sched/idle.c, which nobody calls; where the machine
    # stands decides which of them gdb takes the bare name for.
    IDLE = "'arch/x86/kernel/process.c'::arch_cpu_idle"

    def __init__(self, shell):
        self.shell = shell
        self.sent = set()
        self.idle = None

    def watch(self):
        self.idle = gdb.Breakpoint(f'*{self.IDLE}', type=gdb.BP_HARDWARE_BREAKPOINT, internal=True, temporary=True)

    def unwatch(self):
        if self.idle and self.idle.is_valid():
            self.idle.delete()

    def send(self):
        if gdb.newest_frame().pc() != int(gdb.parse_and_eval(f'(unsigned long){self.IDLE}')):
            print('elsewhere')
            return
        everyone = list(tasks.task_lists())
        shells = sorted(int(task['pid']) for task in everyone if task['real_parent']['comm'].string() == 'agent')
        for task in everyone:
            if int(task['pid']) not in self.sent and self.has_started(shells[self.shell], task):
                self.sent.add(int(task['pid']))
                for register, value in (('rdi', 2), ('rsi', int(task)), ('rdx', 1), ('rip', 'send_sig')):
                    gdb.execute(f'set ${register} = {value}')
                print('sent')
                return
        print('nobody')

    @staticmethod
    def has_started(shell, task):
        while int(task['pid']) > 1:
            task = task['real_parent']
            if int(task['pid']) == shell:
                return True
        return False
