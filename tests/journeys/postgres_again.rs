//! Stories of other files told again with PostgreSQL as the warehouse: the same models, the same rows.

use crate::workspace::on_postgres;

/// Each story once more.
macro_rules! again {
    ($($file:ident: $($story:ident),+;)+) => {
        $(mod $file {
            $(#[test]
            fn $story() {
                super::on_postgres(crate::$file::$story);
            })+
        })+
    };
}

again! {
    forward_only:
        a_run_of_dev_goes_on_with_its_own_tables_and_leaves_those_of_production_alone,
        a_reader_of_a_changed_value_is_built_on_the_mixture_and_never_taken_for_another,
        dev_previews_from_the_date_on_which_a_change_is_to_count,
        a_model_that_is_forward_only_needs_no_flag,
        a_change_of_kind_is_never_forward_only,
        a_destructive_change_is_refused_unless_somebody_allows_it,
        what_a_model_says_about_its_columns_counts,
        a_type_that_no_query_tells_is_compared_where_the_engine_knows_it,
        the_same_change_again_finds_the_table_that_is_there,
        options_that_contradict_each_other_are_refused,
        a_history_and_added_rows_outlive_a_change_of_what_they_read;
    kills:
        a_plan_that_is_killed_at_any_moment_is_completed_by_the_next,
        a_run_finishes_a_switch_that_was_recorded_but_not_done;
    kinds:
        rows_of_one_key_replace_each_other_in_order_of_time,
        day_by_day_and_in_batches_give_the_same_rows,
        a_key_that_is_not_unique_in_a_batch_is_one_clear_message,
        a_key_column_that_the_query_lacks_is_one_clear_message,
        matched_rows_become_what_the_model_says,
        a_merge_filter_is_part_of_the_match,
        lookback_reads_the_days_before_again,
        a_batch_replaces_the_partitions_that_it_has_rows_of,
        unmanaged_rows_are_added_and_never_twice,
        a_start_that_is_moved_back_does_not_write_old_rows_over_new_ones,
        a_materialized_view_holds_the_rows_of_its_last_run,
        a_blocking_audit_leaves_no_bad_row_whatever_the_kind,
        a_model_that_reads_itself_is_filled_one_interval_after_the_other,
        a_day_that_comes_before_the_others_makes_all_behind_it_anew,
        a_model_that_reads_itself_says_its_columns,
        a_view_cannot_read_itself;
    kinds_crash:
        a_batch_that_was_committed_and_not_recorded_is_recorded_and_not_written_again,
        a_table_of_which_nothing_is_recorded_is_written_anew,
        kills_at_random_moments_double_nothing_and_lose_nothing;
    kinds_history:
        the_worked_example_by_time,
        the_worked_example_by_column,
        a_row_that_did_not_change_has_one_version_however_often_it_is_seen,
        a_late_row_is_no_new_version_but_says_that_the_key_is_there,
        several_changes_in_one_batch_are_versions_one_after_the_other,
        two_rows_of_a_key_with_one_time_are_refused_and_nothing_changes,
        without_hard_deletes_a_key_that_goes_stays_open,
        null_is_another_value_than_any_other_and_than_itself_it_is_not,
        all_columns_count_with_a_star,
        a_column_may_say_when_instead_of_the_clock,
        first_versions_may_begin_when_they_were_seen,
        a_row_without_a_time_is_there_from_the_beginning,
        names_and_type_of_the_times_are_the_models,
        what_a_history_reads_may_be_filled_in_batches;
    kinds_input:
        columns_that_the_query_does_not_give_are_found_with_their_line,
        a_time_column_of_a_type_without_time_is_refused,
        options_that_a_kind_lacks_or_does_not_have_name_the_line;
    ledger:
        a_janitor_for_one_environment_touches_no_other;
    restatement:
        a_restated_day_is_filled_again_with_all_that_is_made_of_it,
        what_is_not_filled_by_time_is_restated_whole,
        without_a_range_all_of_it_is_filled_again_and_nothing_else,
        a_restatement_does_not_go_beyond_what_was_filled,
        a_model_that_is_never_restated_stays_and_so_does_what_only_it_feeds,
        production_restated_clears_what_other_environments_made_of_it,
        the_table_of_an_earlier_definition_is_filled_again_before_it_is_shown_again,
        a_restatement_that_failed_half_way_is_finished_by_the_next_plan,
        a_run_finishes_it_as_well,
        a_table_of_production_is_not_restated_through_dev,
        days_that_are_made_of_a_restated_day_are_filled_again_before_and_behind_it,
        what_makes_no_sense_is_said_before_anything_is_done;
    running:
        a_run_tells_what_it_did_model_by_model,
        a_failed_model_stops_its_readers_and_nobody_else,
        a_run_of_some_models_fills_what_they_read_and_nothing_else;
}
