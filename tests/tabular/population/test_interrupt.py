import signal
import threading

import pytest

from thinnet.tabular.population._interrupt import deferred_interrupt


def test_the_first_sets_a_flag_and_the_second_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as interrupt:
        assert not interrupt.asked
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second interrupt did not act")
    assert interrupt.asked
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_comes_back_after_a_quiet_run_and_after_an_error() -> None:
    with deferred_interrupt() as interrupt:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert not interrupt.asked
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ZeroDivisionError), deferred_interrupt():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_handler_of_somebody_elses_stays() -> None:
    calls = []

    def own(number: int, frame: object) -> None:
        calls.append(number)

    signal.signal(signal.SIGINT, own)
    with deferred_interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is own
    assert calls == [signal.SIGINT]
    assert not interrupt.asked


def test_outside_the_main_thread_nothing_changes() -> None:
    seen: list[object] = []

    def work() -> None:
        with deferred_interrupt() as interrupt:
            seen.extend([interrupt.asked, signal.getsignal(signal.SIGINT)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, signal.default_int_handler]
