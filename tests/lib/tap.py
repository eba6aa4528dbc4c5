"""Test functions to TAP: a function's name is its claim, an exception says that it does not hold."""
import sys
import traceback


def expect(condition, detail):
    if not condition:
        raise AssertionError(detail)


def run(tests, fixture, on_failure=lambda: None):
    """Runs each with the fixture. Gives the exit code."""
    print(f"1..{len(tests)}", flush=True)
    n_failed = 0
    for number, test in enumerate(tests, 1):
        try:
            test(fixture)
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception:  # pylint: disable=broad-except
            n_failed += 1
            print(f"not ok {number} - {test.__name__}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
    if n_failed:
        sys.stdout.flush()
        on_failure()
    return 1 if n_failed else 0
