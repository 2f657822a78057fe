"""Which findings a hint of their own fits, as the general hints of a function would be beside the point.

A topic is a name in `messages/*/hints.toml`. Findings without one, and levels that a topic does not have, get those of the function.
"""

from __future__ import annotations

from collections.abc import Mapping

TOPICS: Mapping[str, Mapping[str, str]] = {  # by exercise, or "contract" for all of them: a topic and the keys of its findings
    "E01": {
        "types": "integers_all_through cut_off integer_result contract.dtype",
        "put_back": "left_moved left_above one_sided_and_left_moved contract.input_changed",
        "which_element": "nothing_moves alone moves_a_row all_at_once one_slope one_element_alone replaced contract.layout",
        "sides": "one_sided one_sided_back one_sided_over_2h",
        "step": "step_grows own_step",
    },
    "E02": {
        "at_zero": "not_at_zero",
        "brackets": "no_parentheses square_of_the_bracket",
    },
    "E03": {
        "bias": "one_sum one_sum_in_every_bias mean_for_sum bias_as_a_row over_the_units bias_of_every_image bias_from_the_weight",
        "shapes": "left_flat transposed read_in_the_wrong_order mixes_the_images contract.shape contract.order contract.does_not_fit",
        "number_of_images": "over_N_again mean_of_x weights_over_N_again",
        "slope": (
            "without_the_slope slope_missing_in_dw1 slope_missing_in_dx before_relu slope_at_the_gradient slope_at_x "
            "times_the_values"
        ),
    },
    "E04": {
        "groups": (
            "groups_not_used another_group first_channels_for_every_group all_channels filters_dealt_out channels_dealt_out "
            "groups_stacked"
        ),
        "bias": "no_bias bias_for_every_channel bias_in_every_cell first_bias_for_all",
        "sheet": (
            "padding_ignored size_without_padding padding_counted_once padded_by_one cut_from_the_end padding_behind_alone "
            "padding_on_every_axis begin_on_the_image"
        ),
        "number_of_windows": (
            "one_window_too_many no_last_window no_brackets_in_the_size one_added_to_the_stride window_past_the_edge "
            "before_the_edge as_many_columns_as_lines as_many_columns_as_the_height_gives as_many_lines_as_the_width_gives "
            "height_and_width_exchanged kernel_height_in_the_number_of_columns windows_KH_by_KH refuses_a_rest contract.shape"
        ),
    },
    "E05": {
        "overwrites": (
            "windows_overwrite windows_of_the_last_filter cells_overwrite dx_of_the_last_filter dx_of_the_last_window "
            "dweight_of_the_last_window dweight_of_the_last_window_and_image dweight_of_the_last_image dbias_of_the_last_image "
            "dbias_of_the_last_window nothing_written"
        ),
        "cut": (
            "cut_from_the_end cut_from_the_end_into_dx cut_by_one cut_by_one_into_dx border_left_on corner_of_the_sheet "
            "padded_by_one rest_missing rest_cut_off cut_by_the_height without_padding groups_cut_from_the_end"
        ),
        "bias": (
            "dbias_one_number dbias_over_all_axes dbias_mean dbias_mean_over_windows dbias_for_each_image dbias_for_each_window "
            "dbias_over_the_filters"
        ),
        "turned": "dx_with_the_kernel_turned dweight_turned",
        "sides": (
            "as_many_columns_as_lines as_many_lines_as_columns height_and_width_exchanged windows_KH_by_KH "
            "as_many_windows_as_pixels before_the_edge refuses_a_rest"
        ),
        "stride": "dx_with_steps_of_one dout_not_spread_apart dweight_with_steps_of_one dweight_by_steps_of_the_stride",
        "axes": "dweight_channels_first dweight_lines_and_columns_exchanged dweight_reshaped dout_reshaped",
    },
    "E06": {
        "start": "padded_with_zeros",
        "number_of_windows": (
            "size_from_the_kernel rounded_up no_last_window before_the_edge refuses_a_rest tiles_where_they_fit contract.shape"
        ),
        "sides": "as_many_columns_as_lines as_many_lines_as_columns height_and_width_exchanged flat_by_the_height",
        "winner": "maximum_for_the_mask spreads whole_window times_the_maximum smallest_wins one_winner_for_all shared_by_all",
        "place": "index_of_the_window taken_apart contract.out_of_bounds",
    },
    "E07": {
        "even_n": "even_n_on_both_sides even_n_mirrored back_even_n_on_both_sides back_even_n_mirrored window_not_mirrored",
        "axis": (
            "over_the_batch as_many_channels_as_images over_lines over_columns over_the_image over_all_pixels back_over_the_batch"
        ),
        "numbers": (
            "alpha_over_n alpha_over_existing k_is_one as_in_some_libraries no_k no_beta fixed_beta fixed_k fixed_alpha fixed_n "
            "no_alpha forward_over_n forward_with_k_one back_as_in_some_libraries scale_over_n other_scale factor_over_n "
            "fixed_beta_in_a_factor fixed_alpha_in_a_factor back_with_fixed_beta back_with_fixed_k back_with_fixed_alpha "
            "back_with_fixed_n"
        ),
        "brackets": (
            "brackets_missing power_of_the_quotient power_of_the_sum_alone power_without_k k_for_each_neighbor plus_the_power "
            "times_the_power over_the_sum power_without_brackets window_without_brackets"
        ),
        "second_term": (
            "beta_missing two_missing alpha_missing cross_term_added old_power power_one_more power_twice own_scale own_dout "
            "derivative_of_own_output own_activity_squared neighbor_squared activity_missing cross_without_the_last_neighbor"
        ),
        "windows": (
            "back_with_the_edge_filled back_with_the_edge_around back_without_the_last_neighbor back_without_the_last_channel "
            "back_with_n_as_the_radius back_with_other_windows"
        ),
    },
    "E08": {
        "overflow": "log_of_p no_shift maximum_of_the_batch small_number_in_the_log contract.not_finite contract.not_a_finite_number",
        "axis": "axis_lost maximum_over_the_images sum_over_the_images sum_over_everything contract.does_not_fit",
        "loss": (
            "loss_summed loss_per_image loss_over_the_classes_too logarithm_to_base_10 logarithm_to_base_2 no_logarithm "
            "squared_error two_terms_a_class largest_p"
        ),
        "labels": "whole_columns label_overwritten labels_left_out one_taken_everywhere",
        "mean": "gradient_of_the_sum over_N_twice over_the_classes over_every_element",
    },
    "E09": {
        "form": (
            "rate_on_the_whole of_another_library velocity_uphill exponential_mean mean_of_the_gradient mean_then_rate "
            "mean_and_uphill look_ahead"
        ),
        "memory": "velocity_not_stored weight_in_the_velocity returns_the_velocity contract.alias contract.input_changed",
        "decay": (
            "no_decay decay_beside decay_of_the_new decay_without_lr decay_without_weight decay_of_the_velocity decay_twice "
            "decay_grows"
        ),
        "sign": "uphill velocity_subtracted gradient_twice goes_by_the_old",
    },
    "E10": {
        "draw": (
            "normal_noise one_mask_for_the_batch one_draw_for_many mask_of_two_axes never_drops drops_everything mask_turned_round "
            "share exact_share"
        ),
        "generator": "own_generator fixed_seed same_mask_again",
        "mask": "mask_scaled mask_of_the_dropped another_mask mask_at_test_time contract.no_array",
        "train": "drops_at_test_time train_exchanged",
    },
    "E11": {
        "weights": (
            "groups_left_out half_everywhere one_group_alone channels_not_summed kernel_not_squared filters_for_channels "
            "channels_of_the_image"
        ),
        "biases": "no_biases a_bias_a_pixel one_bias_a_layer biases_multiplied",
        "uses": "two_operations one_pixel pixels_of_the_input",
        "linear": "linear_reads_channels linear_reads_one_channel",
        "lists": (
            "shapes_before_the_layers image_among_the_shapes totals layers_without_weights_left_out running_total channels_last "
            "height_and_width_exchanged contract.uneven contract.list contract.shape"
        ),
    },
    "E12": {
        "memory": "contract.outputs_share_memory contract.alias",
        "count": "elements always_four_bytes one_image channels_alone bits",
    },
    "E13": {
        "count": (
            "divided_by_N divided_by_H_W divided_by_all divided_by_other_sizes divided_twice not_divided first_term_divided unbiased"
        ),
        "powers": (
            "d_for_y x_for_y another_y old_power power_of_s s_missing s_twice s_for_the_root s_for_the_variance own_s eps_added_to_s "
            "eps_outside variance_path_twice variance_path_halved"
        ),
        "weight": (
            "weight_missing divided_by_weight weight_missing_in_one_path weight_in_the_first_term_alone brackets_missing weight_twice "
            "weight_in_y sums_of_dy"
        ),
        "axes": (
            "each_image_by_itself statistics_of_each_image over_the_images_alone over_the_channels an_axis_left_out "
            "one_number_for_all_channels sums_of_an_image not_over_the_images last_image_alone means_for_sums axes_kept "
            "contract.shape contract.does_not_fit"
        ),
    },
    "contract": {
        "stopped": (
            "raises does_not_fit out_of_bounds sequence truth_value float_size unpacked empty_window no_attribute no_keyword "
            "resized"
        ),
        "endless": "endless recursion",
        "outputs": "shape number_of_outputs order list returns_None no_array uneven",
        "types": "dtype",
        "not_finite": "not_finite not_a_finite_number",
        "memory": "input_changed alias outputs_share_memory",
        "layout": "layout",
        "again": "another_answer_the_second_time",
    },
}


def topic_of(exercise: str, finding: str) -> str | None:
    """The hints that fit a finding, such as "E08.overflow"; None where those of the function do.

    finding: its key, such as "E08.no_shift" or "contract.shape". What an exercise says of a kind comes before what all say of it.
    """
    own = finding.removeprefix(f"{exercise}.")
    for place, key in ((exercise, own), ("contract", finding.removeprefix("contract."))):
        for topic, findings in TOPICS.get(place, {}).items():
            if key in findings.split() and (place == exercise or finding.startswith("contract.")):
                return f"{place}.{topic}"
    return None
