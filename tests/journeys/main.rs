//! What people do with Siding, told as stories: the real program against a stand-in for GitHub, DuckDB and SQLite.
#![expect(
    clippy::unwrap_used,
    reason = "a story that cannot go on should end where it stands"
)]

#[cfg(unix)]
mod added_rows;
mod answers;
mod asking;
mod auto_restatement;
mod bad_input;
mod bad_input_names;
mod bad_input_objects;
mod bad_input_time;
mod bot_closed;
mod bot_commands;
mod bot_crash;
mod bot_deploy;
mod bot_harness;
mod bot_pull_request;
mod bot_webhook;
mod cache;
mod catalogs;
mod categorization;
mod choices;
#[path = "../cluster/mod.rs"]
mod cluster;
mod columns_by_hand;
mod descriptions;
mod destroying;
mod dev_only;
mod dev_only_belongings;
#[cfg(unix)]
mod dev_only_kills;
mod dev_only_postgres;
mod dialects;
mod engine_paths;
mod engines;
#[cfg(unix)]
mod environment_end;
mod environment_life;
#[cfg(unix)]
mod estimates;
mod fake_github;
mod fingerprint;
mod first_batch;
mod forward_only;
mod fresh_build;
mod fuzz_corpus;
mod git_selectors;
mod github_client;
mod github_conversation;
mod github_stand_in;
mod history;
mod hostile;
mod kills;
mod kinds;
mod kinds_crash;
mod kinds_history;
mod kinds_input;
mod kinds_statements;
mod last_model;
mod late_rows;
mod laws;
#[cfg(target_os = "linux")]
mod leases;
#[cfg(unix)]
mod ledger;
mod lineage;
mod meanwhile;
mod new_columns;
mod own_server;
mod physical_tables;
mod pipeline;
mod placement;
mod plain_answers;
mod plan_config;
mod plan_options;
mod postgres;
mod postgres_again;
mod postgres_at_once;
#[cfg(unix)]
mod postgres_full;
mod postgres_releases;
#[cfg(unix)]
mod postgres_restarts;
mod postgres_rights;
#[cfg(target_os = "linux")]
mod postgres_tls;
#[cfg(unix)]
mod processes;
mod reference;
mod restatement;
mod restatement_elsewhere;
mod rough_hands;
#[cfg(unix)]
mod running;
mod said_by_plans;
mod scenario_p1;
mod scenario_p10;
mod scenario_p2;
mod scenario_p3;
mod scenario_p4_p8;
mod scenario_p5;
mod scenario_p6;
mod scenario_p7;
mod scenario_p9;
mod seed_files;
mod side_by_side;
mod signals;
mod table_diff;
mod text_times;
mod time_walk;
#[cfg(unix)]
mod together;
mod view_audits;
mod whole_path;
mod wider_sources;
mod workspace;
