/* Every case of the list, by the file that holds it. */
#ifndef BM_CONFORM_CASES_H
#define BM_CONFORM_CASES_H

#include "case.h"

/* ---- file.c ---- */

void bm_conform_file_exports(struct bm_conform *conform);
void bm_conform_file_nodelete(struct bm_conform *conform);
void bm_conform_file_now(struct bm_conform *conform);
void bm_conform_file_dependencies(struct bm_conform *conform);
void bm_conform_file_floating_point(struct bm_conform *conform);
void bm_conform_file_table(struct bm_conform *conform);

/* ---- entry_code.c ---- */

void bm_conform_file_baseline(struct bm_conform *conform);

/* ---- negotiation.c ---- */

void bm_conform_negotiation_entry(struct bm_conform *conform);
void bm_conform_negotiation_extension(struct bm_conform *conform);
void bm_conform_negotiation_problem(struct bm_conform *conform);
void bm_conform_negotiation_layers(struct bm_conform *conform);
void bm_conform_negotiation_data(struct bm_conform *conform);
void bm_conform_negotiation_slice(struct bm_conform *conform);
void bm_conform_negotiation_hyper(struct bm_conform *conform);
void bm_conform_negotiation_device_info(struct bm_conform *conform);
void bm_conform_negotiation_device_time(struct bm_conform *conform);
void bm_conform_negotiation_options(struct bm_conform *conform);
void bm_conform_negotiation_option_stride(struct bm_conform *conform);
void bm_conform_negotiation_precision(struct bm_conform *conform);
void bm_conform_negotiation_unknown(struct bm_conform *conform);
void bm_conform_negotiation_device(struct bm_conform *conform);

/* ---- calls.c ---- */

void bm_conform_calls_params(struct bm_conform *conform);
void bm_conform_calls_state(struct bm_conform *conform);
void bm_conform_calls_fresh(struct bm_conform *conform);
void bm_conform_calls_write_gradient(struct bm_conform *conform);
void bm_conform_calls_accumulate_update(struct bm_conform *conform);
void bm_conform_calls_dropout(struct bm_conform *conform);
void bm_conform_calls_evaluate(struct bm_conform *conform);
void bm_conform_calls_statistics(struct bm_conform *conform);
void bm_conform_calls_single_value(struct bm_conform *conform);
void bm_conform_calls_first_maximum(struct bm_conform *conform);
void bm_conform_calls_device_info(struct bm_conform *conform);
void bm_conform_calls_describe(struct bm_conform *conform);
void bm_conform_calls_device_time(struct bm_conform *conform);
void bm_conform_calls_many_pending(struct bm_conform *conform);

/* ---- numerics.c ---- */

void bm_conform_numerics_dense(struct bm_conform *conform);
void bm_conform_numerics_convolution(struct bm_conform *conform);
void bm_conform_numerics_batchnorm(struct bm_conform *conform);
void bm_conform_numerics_dropout(struct bm_conform *conform);
void bm_conform_numerics_pooling(struct bm_conform *conform);
void bm_conform_numerics_exact_batch(struct bm_conform *conform);
void bm_conform_numerics_full_set(struct bm_conform *conform);
void bm_conform_numerics_normed_rows(struct bm_conform *conform);
void bm_conform_numerics_two_images(struct bm_conform *conform);
void bm_conform_numerics_evaluate(struct bm_conform *conform);
void bm_conform_numerics_repeated(struct bm_conform *conform);
void bm_conform_numerics_extreme(struct bm_conform *conform);
void bm_conform_numerics_divisor(struct bm_conform *conform);

/* ---- optimizers.c ---- */

void bm_conform_optimizers_sgd(struct bm_conform *conform);
void bm_conform_optimizers_momentum(struct bm_conform *conform);
void bm_conform_optimizers_nesterov(struct bm_conform *conform);
void bm_conform_optimizers_adagrad(struct bm_conform *conform);
void bm_conform_optimizers_rmsprop(struct bm_conform *conform);
void bm_conform_optimizers_adam(struct bm_conform *conform);
void bm_conform_optimizers_adamw(struct bm_conform *conform);
void bm_conform_optimizers_lars(struct bm_conform *conform);
void bm_conform_optimizers_lamb(struct bm_conform *conform);
void bm_conform_optimizers_trajectory(struct bm_conform *conform);
void bm_conform_optimizers_same_bits(struct bm_conform *conform);
void bm_conform_optimizers_updates(struct bm_conform *conform);

/* ---- cell.c ---- */

void bm_conform_cells_dense(struct bm_conform *conform);
void bm_conform_cells_mixed(struct bm_conform *conform);
/* ---- refusals.c ---- */

void bm_conform_refusals_slices(struct bm_conform *conform);
void bm_conform_refusals_gradient(struct bm_conform *conform);
void bm_conform_refusals_arrays(struct bm_conform *conform);
void bm_conform_refusals_data(struct bm_conform *conform);
void bm_conform_refusals_evaluate(struct bm_conform *conform);
void bm_conform_refusals_states(struct bm_conform *conform);
void bm_conform_refusals_problems(struct bm_conform *conform);
void bm_conform_refusals_layers(struct bm_conform *conform);
void bm_conform_refusals_after_refusal(struct bm_conform *conform);
/* ---- precision.c ---- */

void bm_conform_precision_declared(struct bm_conform *conform);
void bm_conform_precision_multiply_forward(struct bm_conform *conform);
void bm_conform_precision_multiply_weight_gradient(struct bm_conform *conform);
void bm_conform_precision_multiply_input_gradient(struct bm_conform *conform);
void bm_conform_precision_convolution(struct bm_conform *conform);
void bm_conform_precision_accumulate(struct bm_conform *conform);
void bm_conform_precision_subnormals(struct bm_conform *conform);

/* ---- memory.c ---- */

void bm_conform_memory_guards(struct bm_conform *conform);
void bm_conform_memory_untouched_data(struct bm_conform *conform);
void bm_conform_memory_copied(struct bm_conform *conform);
void bm_conform_memory_growth(struct bm_conform *conform);
void bm_conform_memory_sessions(struct bm_conform *conform);
void bm_conform_memory_failed_create(struct bm_conform *conform);

/* ---- behaviour.c ---- */

void bm_conform_behaviour_rounding(struct bm_conform *conform);
void bm_conform_behaviour_locale(struct bm_conform *conform);
void bm_conform_behaviour_signals(struct bm_conform *conform);
void bm_conform_behaviour_affinity(struct bm_conform *conform);
void bm_conform_behaviour_folder(struct bm_conform *conform);
void bm_conform_behaviour_environment(struct bm_conform *conform);
void bm_conform_behaviour_umask(struct bm_conform *conform);
void bm_conform_behaviour_children(struct bm_conform *conform);
void bm_conform_behaviour_standard_files(struct bm_conform *conform);
void bm_conform_behaviour_output(struct bm_conform *conform);

/* ---- threads.c ---- */

void bm_conform_behaviour_thread_budget(struct bm_conform *conform);
void bm_conform_property_threads_in_budget(struct bm_conform *conform);
void bm_conform_behaviour_thread_mask(struct bm_conform *conform);
void bm_conform_behaviour_two_sessions(struct bm_conform *conform);
void bm_conform_behaviour_other_thread(struct bm_conform *conform);

/* ---- wait.c ---- */

void bm_conform_wait_sleeps(struct bm_conform *conform);
void bm_conform_property_sleeps_at_once(struct bm_conform *conform);
void bm_conform_wait_values(struct bm_conform *conform);
void bm_conform_wait_loss(struct bm_conform *conform);

/* ---- properties.c ---- */

void bm_conform_property_no_allocation(struct bm_conform *conform);
void bm_conform_property_repeatable_bits(struct bm_conform *conform);
void bm_conform_property_bits_any_threads(struct bm_conform *conform);
void bm_conform_property_linear_time(struct bm_conform *conform);
void bm_conform_property_no_threads_left(struct bm_conform *conform);
void bm_conform_property_quiet_entry(struct bm_conform *conform);

/* ---- edges.c ---- */

void bm_conform_edges_relu_at_zero(struct bm_conform *conform);
void bm_conform_edges_pooling_padding(struct bm_conform *conform);
void bm_conform_edges_split_scales(struct bm_conform *conform);
void bm_conform_edges_stale_images(struct bm_conform *conform);
void bm_conform_edges_stale_statistics(struct bm_conform *conform);
void bm_conform_edges_update_numbers(struct bm_conform *conform);
void bm_conform_edges_zero_norms(struct bm_conform *conform);
void bm_conform_edges_shorter_order(struct bm_conform *conform);
void bm_conform_edges_supports_bytes(struct bm_conform *conform);
void bm_conform_edges_entry_threads(struct bm_conform *conform);
void bm_conform_edges_turns(struct bm_conform *conform);

#endif
