import threading

from finer1.serving.protocol import call_all


def test_results_come_in_the_order_of_the_calls():
    is_second_done = threading.Event()

    def first():
        assert is_second_done.wait(10)
        return "first"

    def second():
        is_second_done.set()
        return "second"

    assert call_all([first, second], at_once=2) == ["first", "second"]
