//! One case: a project, what becomes of it, and what is true of Siding's answer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use siding::model::ModelName;
use siding::snapshot::Version;

use crate::edits::edit;
use crate::generate;
use crate::judge::Unsound;
use crate::judge::Verdict;
use crate::judge::judge;
use crate::judge::unsound;
use crate::names::Catalog;
use crate::planner;
use crate::project::Project;
use crate::random::Random;
use crate::reference;
use crate::warehouse::Binder;
use crate::warehouse::Program;
use crate::warehouse::World;

/// A project, the ones that follow it, and the data.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) projects: Vec<Project>,
    pub(crate) catalogs: Vec<Catalog>,
    pub(crate) edits: Vec<&'static str>,
}

impl Case {
    /// The case of that number.
    pub(crate) fn new(seed: u64, binder: &Binder) -> Self {
        let mut random = Random::new(seed);
        binder.reset(seed);
        let (project, catalog) = generate::project::project(&mut random, binder);
        let mut case = Self {
            projects: vec![project],
            catalogs: vec![catalog],
            edits: Vec::new(),
        };
        case.follow(&mut random, binder);
        if random.chance(12) {
            // Back to the first, whose tables are there still; or on.
            if random.chance(40) {
                case.projects.push(case.projects[0].clone());
                case.catalogs.push(case.catalogs[0].clone());
            } else {
                case.follow(&mut random, binder);
            }
        }
        case
    }

    fn follow(&mut self, random: &mut Random, binder: &Binder) {
        let wanted = *random.pick(&[1, 1, 1, 2, 2, 3, 4]);
        let last = self.projects.len() - 1;
        let (project, catalog, edits) = edit(
            &self.projects[last],
            &self.catalogs[last],
            random,
            binder,
            wanted,
        );
        self.projects.push(project);
        self.catalogs.push(catalog);
        self.edits.extend(edits);
    }
}

/// What the test needs to run cases, one after the other.
pub(crate) struct Bench {
    pub(crate) binder: Binder,
    pub(crate) worlds: Vec<World>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            binder: Binder::new(),
            worlds: World::all(),
        }
    }

    /// Siding's answer, judged; `Err` when it refuses one of the projects.
    pub(crate) fn judge(&mut self, projects: &[Project], seed: u64) -> Result<Judged, String> {
        let steps = planner::plan(projects)?;
        Ok(self.judge_steps(steps, seed))
    }

    /// What is true of these answers, on data of that number.
    pub(crate) fn judge_steps(&mut self, steps: Vec<planner::Step>, seed: u64) -> Judged {
        for (index, world) in self.worlds.iter_mut().enumerate() {
            let index = u64::try_from(index).expect("there are few worlds");
            world.reset(seed ^ (index + 1).wrapping_mul(0x1000_0001));
        }
        let mut program = Program::default();
        let verdict = judge(&steps, &mut program, &mut self.worlds);
        Judged {
            steps,
            verdict,
            program,
        }
    }

    /// What the reference keeps in the second project, and what of that is wrong; asked right after judging.
    pub(crate) fn reference(&mut self, case: &Case, judged: &mut Judged) -> Reference {
        let kept = reference::kept(
            (&case.projects[0], &case.catalogs[0]),
            (&case.projects[1], &case.catalogs[1]),
        );
        let steps = &judged.steps[..2];
        let version = |number: &str| Version(number.to_owned());
        let all = crate::judge::versions(steps);
        let first: BTreeMap<ModelName, Version> = all[0]
            .keys()
            .map(|name| (name.clone(), version("0")))
            .collect();
        let second: BTreeMap<ModelName, Version> = all[1]
            .keys()
            .map(|name| {
                let number = if kept.contains(&name.to_string()) && first.contains_key(name) {
                    "0"
                } else {
                    "1"
                };
                (name.clone(), version(number))
            })
            .collect();
        let kept: BTreeSet<ModelName> = second
            .iter()
            .filter(|(_, version)| version.0 == "0")
            .map(|(name, _)| name.clone())
            .collect();
        let unsound = unsound(
            steps,
            &[first, second],
            &[],
            &mut judged.program,
            &mut self.worlds,
        );
        Reference { kept, unsound }
    }
}

pub(crate) struct Judged {
    pub(crate) steps: Vec<planner::Step>,
    pub(crate) verdict: Verdict,
    program: Program,
}

pub(crate) struct Reference {
    pub(crate) kept: BTreeSet<ModelName>,
    pub(crate) unsound: Vec<Unsound>,
}
