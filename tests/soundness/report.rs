//! What many cases say together.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::case::Case;
use crate::case::Judged;
use crate::case::Reference;
use crate::judge::Unsound;
use crate::planner::Step;
use crate::project::Project;

/// Figures over many cases.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) models: usize,
    /// Why Siding refused to plan a case, and how often.
    pub(crate) refused: BTreeMap<String, usize>,
    /// How often each sort of edit was made.
    pub(crate) edits: BTreeMap<&'static str, usize>,
    pub(crate) compared: usize,
    pub(crate) reused: usize,
    pub(crate) same_views: usize,
    pub(crate) open: usize,
    pub(crate) failed: usize,
    pub(crate) ours: Precision,
    pub(crate) theirs: Precision,
    /// What the reference keeps wrongly.
    pub(crate) theirs_unsound: usize,
    /// Models that stay equal and are built again, by sort of edit, where there was one edit.
    pub(crate) needless: BTreeMap<&'static str, (usize, usize)>,
    pub(crate) failures: Vec<String>,
}

/// How often a model whose table stays equal is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Precision {
    equal: usize,
    kept: usize,
    /// The same where its text or something above it changed.
    touched: usize,
    touched_kept: usize,
}

impl Precision {
    fn add(&mut self, touched: bool, kept: bool) {
        self.equal += 1;
        self.kept += usize::from(kept);
        self.touched += usize::from(touched);
        self.touched_kept += usize::from(touched && kept);
    }

    fn merge(&mut self, other: Self) {
        self.equal += other.equal;
        self.kept += other.kept;
        self.touched += other.touched;
        self.touched_kept += other.touched_kept;
    }

    fn line(self) -> String {
        format!(
            "{} of {} ({}); with something changed at or above: {} of {} ({})",
            self.kept,
            self.equal,
            percent(self.kept, self.equal),
            self.touched_kept,
            self.touched,
            percent(self.touched_kept, self.touched)
        )
    }
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let thousandths = part * 1000 / whole;
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

impl Tally {
    pub(crate) fn refuse(&mut self, error: &str) {
        let start: String = error.chars().take(90).collect();
        *self.refused.entry(start).or_default() += 1;
    }

    pub(crate) fn add(&mut self, case: &Case, judged: &Judged, reference: &Reference) {
        self.cases += 1;
        self.models += case.projects[0].models.len();
        for edit in &case.edits {
            *self.edits.entry(edit).or_default() += 1;
        }
        let verdict = &judged.verdict;
        self.compared += verdict.compared;
        self.reused += verdict.reused;
        self.same_views += verdict.same_views;
        self.open += verdict.open;
        self.failed += verdict.failed;
        // A third project may go back to the first, which is no question of what an edit means.
        for equal in verdict.equal.iter().filter(|equal| equal.step == 1) {
            self.ours.add(equal.touched, equal.reused);
            let kept = reference.kept.contains(&equal.model);
            self.theirs.add(equal.touched, kept);
            if let [edit] = case.edits.as_slice()
                && equal.touched
            {
                let entry = self.needless.entry(edit).or_default();
                entry.0 += usize::from(!equal.reused);
                entry.1 += usize::from(!kept);
            }
        }
        if !reference.unsound.is_empty() {
            self.theirs_unsound += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.cases += other.cases;
        self.models += other.models;
        for (key, count) in other.refused {
            *self.refused.entry(key).or_default() += count;
        }
        for (key, count) in other.edits {
            *self.edits.entry(key).or_default() += count;
        }
        for (key, (ours, theirs)) in other.needless {
            let entry = self.needless.entry(key).or_default();
            entry.0 += ours;
            entry.1 += theirs;
        }
        self.compared += other.compared;
        self.reused += other.reused;
        self.same_views += other.same_views;
        self.open += other.open;
        self.failed += other.failed;
        self.ours.merge(other.ours);
        self.theirs.merge(other.theirs);
        self.theirs_unsound += other.theirs_unsound;
        self.failures.extend(other.failures);
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{} projects of {} models", self.cases, self.models);
        let refused: usize = self.refused.values().sum();
        let _ = writeln!(text, "{refused} more were refused");
        for (reason, count) in &self.refused {
            let _ = writeln!(text, "  {count:>5} {reason}");
        }
        let total: usize = self.edits.values().sum();
        let _ = writeln!(
            text,
            "{total} edits; with one edit, models that stay equal and are built again (and by the reference):"
        );
        for (edit, count) in &self.edits {
            let (ours, theirs) = self.needless.get(edit).copied().unwrap_or_default();
            let _ = writeln!(text, "  {count:>5} {edit}: {ours} ({theirs})");
        }
        let _ = writeln!(
            text,
            "{} models compared, {} reused, {} views said to be the same, {} unsound; {} reused where the query leaves something open, \
             {} tables failed to build",
            self.compared,
            self.reused,
            self.same_views,
            self.failures.len(),
            self.open,
            self.failed
        );
        let _ = writeln!(text, "precision: {}", self.ours.line());
        let _ = writeln!(text, "reference: {}", self.theirs.line());
        let _ = writeln!(
            text,
            "reference: {} cases with a table kept wrongly",
            self.theirs_unsound
        );
        text
    }
}

/// A failing case for people: the projects, the data, what Siding said, and the rows that differ.
pub(crate) fn failure(
    seed: u64,
    edits: &[&str],
    (projects, steps): (&[Project], &[Step]),
    found: &Unsound,
) -> String {
    let mut text = format!("case {seed}: {edits:?}\n");
    for (index, project) in projects.iter().enumerate() {
        let _ = writeln!(text, "=== project {index}\n{}", project.shown());
    }
    let _ = writeln!(text, "=== data ({:?})\n{}", found.flavour, found.setup);
    for (name, answer) in &steps[found.step].answers {
        let _ = writeln!(
            text,
            "{name}: {:?} {:?} {:?}",
            answer.change, answer.category, answer.reasons
        );
    }
    let _ = writeln!(
        text,
        "=== `{}` keeps its rows in project {}, which are\n{}\n=== instead of\n{}",
        found.model, found.step, found.kept, found.fresh
    );
    text
}
