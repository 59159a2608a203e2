"""Steps of an erasure: small where the disk is slow, large where it is not."""

from engine.stride import LEAST, LONG, Stride


def test_a_long_step_is_followed_by_half_of_it_down_to_a_least() -> None:
    stride = Stride(4096)
    found = []
    for _ in range(6):
        records = min(256, stride.records)
        stride.took(LONG + 1, records)
        found.append(stride.records)
    assert found == [128, 64, 32, 16, LEAST, LEAST]


def test_short_steps_grow_again_up_to_the_most() -> None:
    stride = Stride(64)
    stride.took(LONG + 1, 32)
    assert stride.records == LEAST
    for records in (LEAST, 2 * LEAST, 4 * LEAST):
        stride.took(LONG // 4 - 1, records)
    assert stride.records == 64


def test_what_is_neither_changes_nothing_and_a_short_rest_says_nothing() -> None:
    stride = Stride(4096)
    stride.took(LONG + 1, 256)
    stride.took(LONG, 128)
    stride.took(0, 3)
    assert stride.records == 128
