from tinyalex.formats.free_names import FreeNames


def test_a_name_that_is_taken_gets_the_first_number_that_is_free():
    names = FreeNames(["a", "a_3"], "_")
    assert [names.free("a") for _ in range(3)] == ["a_2", "a_4", "a_5"]
    assert (names.free("b"), names.free("a_2"), names.free("a_2")) == ("b", "a_2_2", "a_2_3")


def test_many_layers_of_one_name_take_one_step_each():
    names = FreeNames()
    assert [names.free("layer") for _ in range(200_000)][-1] == "layer.200000"  # with a search from 2 on for each, it takes hours
