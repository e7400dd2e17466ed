//! The connector contract, executed on every SQL engine. An engine joins by a `Harness` and one line `contract!`.

#![cfg(test)]

mod support;

#[path = "contract/back.rs"]
mod back;
#[path = "contract/candidates.rs"]
mod candidates;
#[path = "contract/clocks.rs"]
mod clocks;
#[path = "contract/deferred.rs"]
mod deferred;
#[path = "support/dice.rs"]
mod dice;
#[path = "contract/forms.rs"]
mod forms;
#[path = "contract/harness.rs"]
mod harness;
#[path = "contract/hostile.rs"]
mod hostile;
#[path = "contract/meddle.rs"]
mod meddle;
#[path = "contract/narrowed.rs"]
mod narrowed;
#[path = "contract/only_servers.rs"]
mod only_servers;
#[path = "contract/only_sqlite.rs"]
mod only_sqlite;
#[path = "contract/servers.rs"]
mod servers;
#[path = "contract/sets.rs"]
mod sets;
#[path = "contract/sets_case.rs"]
mod sets_case;
#[path = "contract/sqlite.rs"]
mod sqlite;
#[path = "contract/suite.rs"]
mod suite;

/// One test for each promise, on one engine.
macro_rules! contract {
    ($engine:ident, $start:expr, [$($promise:ident),* $(,)?], hostile [$($hostile:ident),* $(,)?], forms [$($form:ident),* $(,)?], sets [$($set:ident),* $(,)?]) => {
        mod $engine {
            $(
                #[tokio::test]
                async fn $promise() {
                    crate::suite::$promise(&$start.await).await;
                }
            )*
            $(
                #[tokio::test]
                async fn $hostile() {
                    crate::hostile::$hostile(&$start.await).await;
                }
            )*
            $(
                #[tokio::test]
                async fn $form() {
                    crate::forms::$form(&$start.await).await;
                }
            )*
            $(
                #[tokio::test]
                async fn $set() {
                    crate::sets::$set(&$start.await).await;
                }
            )*
        }
    };
}

/// Every promise, on one engine.
macro_rules! whole_contract {
    ($($engine:ident: $start:expr;)*) => {
        $(contract!($engine, $start, [
        pages_are_complete_and_in_key_order,
        keys_of_every_kind_find_their_row_again_and_no_other,
        odd_and_reserved_names_are_only_names,
        the_preselection_leaves_out_nothing_that_is_due,
        the_newest_related_row_counts_and_the_unreadable_poisons,
        the_protected_and_the_held_stay_with_their_children,
        erasing_twice_is_as_good_as_once,
        what_changed_since_it_was_found_stays_whole,
        children_go_to_any_depth_and_siblings_stay,
        rows_that_refer_to_their_own_table_go_deepest_first,
        a_hold_on_a_row_below_holds_the_row_above,
        a_record_waits_for_those_below_it,
        a_record_below_that_the_rule_does_not_select_keeps_what_is_above,
        columns_that_compare_texts_in_different_ways_are_not_related,
        a_row_that_hangs_in_two_places_is_counted_once,
        children_that_may_belong_to_several_records_are_refused,
        foreign_keys_that_nobody_named_are_faults,
        relations_of_one_name_that_are_not_the_same_rows_are_a_fault,
        followed_foreign_keys_take_everything_along,
        a_record_that_the_database_refuses_does_not_stop_the_others,
        anonymising_is_done_once,
        a_child_may_be_cleared_or_anonymised_and_stays,
        located_records_are_here_gone_or_done,
        a_batch_row_settles_a_lost_answer,
        nothing_is_erased_when_our_own_disk_fails_or_the_claim_is_gone,
        faults_of_the_policy_are_named_where_they_stand,
        a_where_selects_its_bracketed_meaning,
        the_printed_statements_run_and_count_right,
        a_typed_key_is_the_key_that_is_found,
        errors_and_debug_carry_no_value,
        a_dropped_question_leaves_no_wrong_answer,
        what_the_system_keeps_is_told_without_writing,
        what_is_left_of_a_purge_is_found_by_other_paths_and_once,
    ], hostile [
        a_record_whose_key_is_written_otherwise_now_is_not_called_gone,
        a_record_that_a_trigger_puts_back_is_not_called_erased,
        tables_that_were_altered_since_they_were_checked_are_refused,
        a_column_that_others_refer_to_is_not_anonymised,
    ], forms [
        other_recipes_that_a_column_does_not_keep_are_faults,
    ], sets [
        rows_become_to_the_byte_what_the_recipes_give,
        child_rows_become_to_the_byte_what_the_recipes_give,
        a_row_that_a_trigger_turns_back_fails_alone,
    ]);)*
    };
}

whole_contract! {
    on_sqlite: crate::sqlite::Sqlite::start();
    on_mariadb: crate::servers::Served::start(crate::support::servers::Kind::Mariadb);
    on_postgres: crate::servers::Served::start(crate::support::servers::Kind::Postgres);
}
