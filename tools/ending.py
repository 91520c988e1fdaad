"""How the developer's commands end when somebody interrupts them: with one line, status 130 and nothing left running."""
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading

INTERRUPTED = 130  # as a shell says of a program that SIGINT ended
END_S = 30  # for a program to end its own servers


def finish(name, main):
    """Ends this program with the status of main, or, interrupted, with a line."""
    try:
        status = main()
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status)


class Pool:
    """Programs side by side, `jobs` at a time. Each leads a process group of its own, so that a Ctrl-C at the terminal
    comes to this program alone; leaving the pool by an exception interrupts each of them once, and then ends what is left
    of its group."""

    def __init__(self, jobs):
        self.threads = concurrent.futures.ThreadPoolExecutor(jobs)
        self.lock, self.running, self.ended = threading.Lock(), set(), False

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.threads.shutdown(wait=False, cancel_futures=True)
            self.end()
        self.threads.shutdown()

    def submit(self, work, *arguments):
        return self.threads.submit(work, *arguments)

    def run(self, command, **options):
        """What subprocess.run does, for the work that was submitted, which goes no further once the pool ends."""
        with self.lock:
            if self.ended:
                raise concurrent.futures.CancelledError
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
            self.running.add(process)
        output, errors = process.communicate()
        with self.lock:
            self.running.discard(process)
            if self.ended:
                raise concurrent.futures.CancelledError
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def end(self):
        with self.lock:
            self.ended, running = True, list(self.running)
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # all of it has ended
