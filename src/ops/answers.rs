//! What a plan answered that found nothing to do, for as long as everything that it followed from is the same.
//!
//! That is the project's files, its configuration, the question, the program, what the state holds, and the time as far
//! as the plan looked at it. The first four are compared by digest, the state by its stamp, which each write changes.
//! The answers lie beside the cache of the project, and count as little as that when a byte of them is not as it was.

use std::fs;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::ops::Planned;
use crate::ops::cache::CachePlace;
use crate::ops::cache::closed;
use crate::ops::cache::opened;
use crate::ops::cache::replace;
use crate::ops::plan::PlanRequest;
use crate::ops::session::CheckedProject;
use crate::ops::session::Session;
use crate::ops::session::SessionOptions;
use crate::ops::session::check_project;
use crate::ops::session::load_options;
use crate::ops::session::project_files;
use crate::project::Config;
use crate::project::FileTree;
use crate::project::Said;
use crate::project::load_config;

/// How many questions about one project are remembered, and how many bytes of answers to all of them but the last.
const MOST_QUESTIONS: usize = 8;
const MOST_BYTES: usize = 1 << 20;

/// A project that is opened for a plan.
pub enum Opened {
    /// It is as it was when something was answered: its models are not read yet.
    Unread(Unread),
    /// The usual.
    Read(Session),
}

/// A project in which nothing changed since an earlier plan.
pub struct Unread {
    session: Session,
    kept: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    question: [u8; 32],
    stamp: String,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// As it was shown.
    answer: String,
    /// What loading and planning warned of.
    warnings: Vec<Said>,
}

impl Opened {
    /// Opens the project, but reads its models only where no earlier answer may count.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open(options: &SessionOptions) -> anyhow::Result<Self> {
        let known = options
            .cache
            .as_ref()
            .and_then(|place| read(place, options));
        let Some((project, kept)) = known else {
            return Ok(Self::Read(Session::open(options).await?));
        };
        let files = project_files(options)?;
        let (config, diagnostics) = load_config(&files, &load_options(options));
        let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
        let same =
            config.filter(|config| is_sound && project_digest(&files, config, options) == project);
        let Some(config) = same else {
            let checked = check_project(options, files)?;
            return Ok(Self::Read(Session::with(options, checked).await?));
        };
        let checked = CheckedProject::unread(files, config, diagnostics);
        let session = Session::with(options, checked).await?;
        Ok(Self::Unread(Unread { session, kept }))
    }
}

impl Unread {
    /// The session without its models.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What was shown when `request` was asked in the form `form`, with what loading warned of, if a plan would find the
    /// same now.
    ///
    /// # Errors
    /// When the state does not answer.
    pub async fn answer(
        &self,
        request: &PlanRequest,
        form: &str,
    ) -> anyhow::Result<Option<(&str, Vec<Diagnostic>)>> {
        let question = question(request, form);
        let stamp = self.session.state().stamp().await?;
        let now = request.execution_time;
        let holds = |kept: &&Kept| {
            let in_time = kept.from <= now && now < kept.until;
            kept.question == question && kept.stamp == stamp && in_time
        };
        Ok(self.kept.iter().find(holds).map(|kept| {
            tracing::debug!("nothing was changed since an earlier plan, whose answer counts");
            let warnings = kept.warnings.iter().map(Said::diagnostic).collect();
            (kept.answer.as_str(), warnings)
        }))
    }

    /// The session with its models.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn read(self) -> anyhow::Result<Session> {
        let files = self.session.files().clone();
        let checked = check_project(self.session.options(), files)?;
        Ok(self.session.with_project(checked))
    }
}

impl Session {
    /// Remembers that `answer` was shown in the form `form` when `request` was asked, if `planned` changes nothing;
    /// `stamp` is that of the state before. What cannot be checked or written is not remembered.
    pub async fn remember(
        &self,
        request: &PlanRequest,
        form: &str,
        planned: &Planned,
        stamp: &str,
        answer: &str,
    ) {
        let options = self.options();
        let (Some(place), Some(until)) = (&options.cache, planned.same_until) else {
            return;
        };
        // All that the plan read of the state is of one moment only if nothing was written meanwhile.
        if self.state().stamp().await.ok().as_deref() != Some(stamp) {
            return;
        }
        let new = Kept {
            question: question(request, form),
            stamp: stamp.to_owned(),
            from: request.execution_time,
            until,
            answer: answer.to_owned(),
            warnings: planned.summary.diagnostics.iter().map(Said::of).collect(),
        };
        let project = project_digest(self.files(), self.config(), options);
        let known = read(place, options).filter(|(of, _)| *of == project);
        let mut kept = known.map(|(_, kept)| kept).unwrap_or_default();
        let mut bytes = 0;
        kept.retain(|kept| {
            bytes += kept.answer.len();
            kept.question != new.question && bytes <= MOST_BYTES
        });
        kept.insert(0, new);
        kept.truncate(MOST_QUESTIONS);
        let file = place.file(&options.project, &options.config, ANSWERS);
        let written = postcard::to_stdvec(&(project, kept))
            .map_err(anyhow::Error::from)
            .and_then(|content| replace(&file, &closed(&content, place.program())));
        if let Err(error) = written {
            tracing::debug!("{} was not written: {error:#}", file.display());
        }
    }
}

const ANSWERS: &str = "-answers";

/// The digest of the project that answers are of, and the answers.
fn read(place: &CachePlace, options: &SessionOptions) -> Option<([u8; 32], Vec<Kept>)> {
    let bytes = fs::read(place.file(&options.project, &options.config, ANSWERS)).ok()?;
    postcard::from_bytes(opened(&bytes, place.program())?).ok()
}

/// Everything that loading the project depends on.
fn project_digest(files: &FileTree, config: &Config, options: &SessionOptions) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(&format!("{config:?} {:?}", options.gateway));
    for (path, text) in files.iter() {
        add(path);
        add(text);
    }
    add("unreadable");
    for (path, reason) in files.unreadable() {
        add(path);
        add(reason);
    }
    *hasher.finalize().as_bytes()
}

/// Everything that is asked but the time.
fn question(request: &PlanRequest, form: &str) -> [u8; 32] {
    let timeless = PlanRequest {
        execution_time: DateTime::UNIX_EPOCH,
        expires_at: None,
        ..request.clone()
    };
    *blake3::hash(format!("{timeless:?} {form}").as_bytes()).as_bytes()
}
