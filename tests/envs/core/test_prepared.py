"""Instances are prepared once and known by identity."""

from envs.core.prepared import Prepared


def test_an_instance_is_prepared_once_and_keeps_its_label():
    built = []

    def build(instance):
        built.append(instance)
        return len(instance)

    first, twin, late = [1], [1], [1, 2, 3]
    prepared = Prepared([first, twin], build)
    assert [prepared.label(each) for each in (late, first, twin, late)] == [2, 0, 1, 2]
    assert built == [first, twin, late]
    assert prepared.instance(1) is twin
    assert [prepared.tables(label) for label in range(3)] == [1, 1, 3]


def test_positions_are_labels_even_of_an_instance_that_is_there_twice():
    instance, other = [1], [2]
    prepared = Prepared([instance, instance, other], len)
    assert [prepared.instance(label) for label in range(3)] == [instance, instance, other]
    assert prepared.instance(prepared.label(instance)) is instance
    assert prepared.label(other) == 2
