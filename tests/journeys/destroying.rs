//! Destroy, when something is in its way.

use crate::workspace::Workspace;
use crate::workspace::on_postgres;

const NOW: &str = "2024-01-06";

fn project() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x + 1 AS x FROM db.a\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace
}

#[test]
fn a_destroy_that_is_half_done_is_said_by_every_command_until_it_is_finished() {
    on_postgres(|| {
        let workspace = project();
        workspace.execute("CREATE VIEW public.mine AS SELECT * FROM db.a");
        let ended = workspace.run(&["destroy", "--yes"]).failed();
        assert!(
            ended.stdout.contains("Could not drop db.a"),
            "{}",
            ended.stdout
        );
        assert!(
            ended.stdout.contains("run `siding destroy` again"),
            "{}",
            ended.stdout
        );

        for command in [
            &["plan", "--no-prompts"][..],
            &["run"],
            &["check_intervals"],
            &["rollback", "prod"],
        ] {
            let ended = workspace.run(command).failed();
            let said = "a destroy was begun and is not done";
            assert!(ended.stderr.contains(said), "{command:?}: {}", ended.stderr);
        }

        let again = workspace.run(&["destroy", "--yes"]).failed();
        assert!(
            again.stdout.contains("Removed 0 objects"),
            "{}",
            again.stdout
        );
        workspace.execute("DROP VIEW public.mine");
        let done = workspace.run(&["destroy", "--yes"]).fine();
        assert!(
            done.stdout.contains("The state is empty"),
            "{}",
            done.stdout
        );
        assert_eq!(workspace.objects("BASE TABLE"), Vec::<String>::new());
        workspace.apply("prod", NOW);
        assert_eq!(workspace.rows("SELECT x FROM db.b"), [["2"]]);
    });
}

#[test]
fn a_schema_that_stays_because_of_others_is_named() {
    let workspace = project();
    workspace.execute("CREATE TABLE db.mine AS SELECT 5 AS x");
    let ended = workspace.run(&["destroy", "--yes"]).fine();
    assert!(
        ended
            .stdout
            .contains("Kept the schema db: db.mine in it is not Siding's."),
        "{}",
        ended.stdout
    );
    assert_eq!(workspace.rows("FROM db.mine"), [["5"]]);
}

#[test]
fn the_janitor_says_who_made_an_object_first_and_that_a_schema_goes_with_its_environment() {
    let workspace = project();
    let first = workspace.plan("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", NOW);
    workspace
        .run(&["run", "--execution-time", "2024-01-08"])
        .fine();
    let later = ["janitor", "--explain", "--execution-time", "2024-02-08"];
    let told = workspace.run(&later).fine().stdout;
    let line = |object: &str| {
        let mut lines = told.lines();
        let found = lines.find(|line| line.split_whitespace().nth(1) == Some(object));
        found
            .unwrap_or_else(|| panic!("no {object} in {told}"))
            .to_owned()
    };
    assert!(line(&first.table("db.a")).contains("plan "), "{told}");
    assert!(line("db__dev").trim_start().starts_with("goes"), "{told}");
    assert!(line("db__dev").contains("it goes with `dev`"), "{told}");
    workspace
        .run(&["janitor", "--execution-time", "2024-02-08"])
        .fine();
    let schemas =
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'db__dev'";
    assert_eq!(workspace.rows(schemas), Vec::<Vec<String>>::new());
}
