//! Stories told once on every release of PostgreSQL that Siding supports: as whichever comes first tells them,
//! so do all.
//!
//! `scripts/postgres.sh` brings the releases; `make test` leaves out, and says so, what it cannot bring.

use crate::cluster;
use crate::workspace::on_postgres;

/// Tells a story of a team on PostgreSQL with this release.
pub(crate) fn by_a_team(release: u32, story: fn()) {
    cluster::RELEASE.set(Some(release));
    story();
}

/// Tells a story of either engine with this release as the warehouse.
pub(crate) fn of_either_engine(release: u32, story: fn()) {
    cluster::RELEASE.set(Some(release));
    on_postgres(story);
}

macro_rules! on {
    ($release:literal: $($told:ident {
        $($file:ident: $($story:ident),+;)+
    })+) => {
        $($(mod $file {
            $(#[test]
            fn $story() {
                crate::postgres_releases::$told($release, crate::$file::$story);
            })+
        })+)+
    };
}

macro_rules! on_every_release {
    ($($stories:tt)+) => {
        mod postgres_13 { on! { 13: $($stories)+ } }
        mod postgres_14 { on! { 14: $($stories)+ } }
        mod postgres_15 { on! { 15: $($stories)+ } }
        mod postgres_16 { on! { 16: $($stories)+ } }
        mod postgres_17 { on! { 17: $($stories)+ } }
    };
}

/// What a release before or behind it hardly does otherwise.
macro_rules! on_the_oldest_and_the_newest {
    ($($stories:tt)+) => {
        mod oldest {
            mod postgres_13 { on! { 13: $($stories)+ } }
        }
        mod newest {
            mod postgres_17 { on! { 17: $($stories)+ } }
        }
    };
}

#[cfg(target_os = "linux")]
on_the_oldest_and_the_newest! {
    by_a_team {
        postgres_tls:
            an_encrypted_connection_serves_warehouse_and_state,
            who_cannot_be_trusted_is_told_apart_and_gets_nothing;
        postgres_full:
            a_full_disk_in_the_middle_of_a_backfill_keeps_what_was_done,
            a_disk_that_is_full_while_sorting_is_told_so,
            a_full_disk_under_the_state_doubles_and_loses_nothing,
            a_server_that_goes_down_because_its_log_has_no_room_loses_nothing;
        postgres_restarts:
            a_server_that_is_started_again_in_the_middle_of_a_batch_is_met_again,
            a_server_with_state_and_warehouse_that_crashes_loses_nothing,
            a_statement_that_takes_too_long_names_the_option,
            fewer_connections_than_are_needed_are_told_and_tasks_need_no_more_than_their_number;
    }
}

macro_rules! on_releases_without_merge {
    ($($stories:tt)+) => {
        mod without_merge {
            mod postgres_13 { on! { 13: $($stories)+ } }
            mod postgres_14 { on! { 14: $($stories)+ } }
        }
    };
}

on_releases_without_merge! {
    of_either_engine {
        kinds:
            a_clause_that_only_merge_knows_is_refused_before_the_first_row_is_written,
            a_row_that_several_rows_match_is_refused;
    }
}

on_every_release! {
    by_a_team {
        postgres:
            a_change_goes_from_dev_to_production_and_back,
            a_wrong_password_is_told_with_host_port_and_user,
            a_state_from_a_newer_version_is_left_as_it_is,
            a_connection_that_is_lost_in_the_middle_of_a_batch_loses_nothing;
        postgres_rights:
            a_user_that_may_only_make_schemas_does_everything;
    }
    of_either_engine {
        dev_only_postgres:
            rights_views_and_indexes_are_those_of_the_table_that_readers_see,
            what_others_have_on_a_table_they_have_on_the_view_in_its_place;
        estimates:
            a_new_model_is_estimated_by_the_engines_plan_and_else_by_what_it_reads;
        first_batch:
            keys_and_merges_that_the_engine_cannot_compute_fail_before_anything_is_published,
            a_merge_that_is_right_is_tried_out_without_a_trace;
        forward_only:
            a_change_of_kind_is_never_forward_only,
            a_destructive_change_is_refused_unless_somebody_allows_it,
            a_history_and_added_rows_outlive_a_change_of_what_they_read;
        kills:
            a_run_finishes_a_switch_that_was_recorded_but_not_done;
        kinds:
            rows_of_one_key_replace_each_other_in_order_of_time,
            a_key_that_is_not_unique_in_a_batch_is_one_clear_message,
            matched_rows_become_what_the_model_says,
            a_merge_filter_is_part_of_the_match,
            the_first_branch_that_holds_acts_on_rows_as_they_were,
            lookback_reads_the_days_before_again,
            a_batch_replaces_the_partitions_that_it_has_rows_of,
            unmanaged_rows_are_added_and_never_twice,
            a_materialized_view_holds_the_rows_of_its_last_run,
            a_blocking_audit_leaves_no_bad_row_whatever_the_kind,
            a_model_that_reads_itself_is_filled_one_interval_after_the_other;
        kinds_crash:
            a_batch_that_was_committed_and_not_recorded_is_recorded_and_not_written_again;
        kinds_history:
            the_worked_example_by_time,
            the_worked_example_by_column;
        kinds_statements:
            statements_run_in_the_batchs_own_transaction,
            descriptions_stand_in_the_warehouse_and_follow_the_model;
        restatement:
            a_restated_day_is_filled_again_with_all_that_is_made_of_it,
            production_restated_clears_what_other_environments_made_of_it;
        ledger:
            a_janitor_for_one_environment_touches_no_other;
        running:
            a_failed_model_stops_its_readers_and_nobody_else;
    }
}
