//! Lineage: which columns a column is made of, and which are made of it, through the whole project.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::ModelName;
use crate::ops::render::similarity;
use crate::snapshot::Candidate;
use crate::sql::Meaning;

/// Version of the JSON form of [`Lineage`].
pub const LINEAGE_VERSION: u32 = 1;

/// Which way to follow columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To what is read.
    Upstream,
    /// To who reads.
    Downstream,
}

/// What one column does to another, or to the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// Its value is part of the other's value.
    Value,
    /// It decides which rows there are, or which rows a value is made of.
    Rows,
}

/// Columns and what they are made of: a graph, flat and sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lineage {
    /// [`LINEAGE_VERSION`].
    pub version: u32,
    /// The model that was asked for.
    pub model: String,
    /// The column that was asked for; `None` means the whole model.
    pub column: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// Columns, and the rows of tables, in order of model.
    pub nodes: Vec<LineageNode>,
    /// What reads what, in order.
    pub edges: Vec<LineageEdge>,
    /// The models of which all columns are shown to read everything, because nobody here can take their queries
    /// apart.
    pub coarse: Vec<CoarseModel>,
}

/// A model whose query is not taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoarseModel {
    /// Its name.
    pub model: String,
    /// What of the query is not understood.
    pub reason: String,
}

/// A column, or the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineageNode {
    /// `model.column`, or `rows of model`.
    pub id: String,
    /// The model, or a table that the project does not declare.
    pub model: String,
    /// As in a `MODEL` block; `TABLE` for a table that the project does not declare.
    pub kind: String,
    /// `None` stands for which rows there are, `*` for all columns of a table whose columns nobody knows.
    pub column: Option<String>,
    /// As far as known.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
}

/// `to` reads `from`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LineageEdge {
    /// The id of what is read.
    pub from: String,
    /// The id of what reads it.
    pub to: String,
    /// What for.
    pub kind: EdgeKind,
}

/// The lineage of `target`, which is `MODEL` or `MODEL.COLUMN`.
///
/// Upstream of a column are the columns that its value is made of; upstream of a model those of all its columns, and
/// what decides which rows it has. Downstream is whatever reads it, for its value or for its rows.
///
/// # Errors
/// When no model, and no table that a model reads, has that name, or it has no such column.
pub fn lineage(
    candidates: &BTreeMap<ModelName, Candidate>,
    target: &str,
    direction: Direction,
) -> anyhow::Result<Lineage> {
    let graph = Graph::new(candidates);
    let (model, column) = graph.find(target)?;
    let start: BTreeSet<Place> = match &column {
        Some(column) => BTreeSet::from([Place::new(model, What::Column(column.clone()))]),
        None => graph.all_of(model),
    };
    let mut edges = BTreeSet::new();
    let mut waiting: Vec<Place> = start.iter().cloned().collect();
    let mut places = start;
    while let Some(place) = waiting.pop() {
        let next = match direction {
            Direction::Upstream => graph.sources(&place),
            Direction::Downstream => graph.readers(&place),
        };
        for (other, kind) in next {
            let (from, to) = match direction {
                Direction::Upstream => (&other, &place),
                Direction::Downstream => (&place, &other),
            };
            edges.insert(LineageEdge {
                from: from.id(),
                to: to.id(),
                kind,
            });
            if places.insert(other.clone()) {
                waiting.push(other);
            }
        }
    }
    Ok(Lineage {
        version: LINEAGE_VERSION,
        model: model.to_string(),
        column,
        direction,
        nodes: places.iter().map(|place| graph.node(place)).collect(),
        edges: edges.into_iter().collect(),
        coarse: graph.coarse(&places),
    })
}

/// A column, or the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    model: ModelName,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// All columns, none of which is known.
    All,
    Column(String),
    /// Which rows there are.
    Rows,
}

impl Place {
    fn new(model: &ModelName, what: What) -> Self {
        Self {
            model: model.clone(),
            what,
        }
    }

    fn id(&self) -> String {
        match &self.what {
            What::All => format!("{}.*", self.model),
            What::Column(name) => format!("{}.{}", self.model, written(name)),
            What::Rows => format!("rows of {}", self.model),
        }
    }
}

/// A column's name so that dots in it do not look like those around it.
fn written(name: &str) -> String {
    if name.is_empty() || name.contains(['.', '"']) || name == "*" {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

type Edges = BTreeMap<Place, BTreeSet<(Place, EdgeKind)>>;

/// What every query of a project reads.
struct Graph<'a> {
    candidates: &'a BTreeMap<ModelName, Candidate>,
    sources: Edges,
    readers: Edges,
}

impl<'a> Graph<'a> {
    fn new(candidates: &'a BTreeMap<ModelName, Candidate>) -> Self {
        let mut graph = Self {
            candidates,
            sources: Edges::new(),
            readers: Edges::new(),
        };
        for candidate in candidates.values() {
            if let Some(meaning) = &candidate.meaning {
                graph.add(candidate, meaning);
            }
        }
        graph
    }

    /// What one model reads.
    fn add(&mut self, candidate: &Candidate, meaning: &Meaning) {
        let name = &candidate.id.name;
        let tables: Vec<ModelName> = meaning
            .tables
            .iter()
            .map(|table| candidate.model.resolve(table))
            .collect();
        let rows = Place::new(name, What::Rows);
        self.connect(&meaning.rows.tables, &tables, &rows);
        for place in &meaning.rows.columns {
            self.read(meaning, &tables, *place, &rows, EdgeKind::Rows);
        }
        let listed: Vec<_> = match &meaning.columns {
            Some(columns) => columns
                .iter()
                .map(|column| {
                    let what = column.name.clone().map_or(What::All, What::Column);
                    (vec![what], &column.value, &column.lineage)
                })
                .collect(),
            None => {
                let targets = self.columns(name).unwrap_or_else(|| vec![What::All]);
                vec![(targets, &meaning.whole, &meaning.whole.columns)]
            }
        };
        for (targets, value, lineage) in listed {
            for what in targets {
                let to = Place::new(name, what);
                for place in lineage {
                    self.read(meaning, &tables, *place, &to, EdgeKind::Value);
                }
                // What only decides which rows the value is made of: the filter of a subquery, say.
                for place in value
                    .columns
                    .iter()
                    .filter(|place| !lineage.contains(place))
                {
                    self.read(meaning, &tables, *place, &to, EdgeKind::Rows);
                }
                self.connect(&value.tables, &tables, &to);
            }
        }
    }

    /// `to` reads which rows these tables have.
    fn connect(&mut self, places: &[u32], tables: &[ModelName], to: &Place) {
        for place in places {
            let from = Place::new(&tables[*place as usize], What::Rows);
            self.edge(from, to, EdgeKind::Rows);
        }
    }

    /// `to` reads the source at `place`.
    fn read(
        &mut self,
        meaning: &Meaning,
        tables: &[ModelName],
        place: u32,
        to: &Place,
        kind: EdgeKind,
    ) {
        let source = &meaning.sources[place as usize];
        let table = &tables[source.table as usize];
        let columns = match &source.column {
            Some(column) => vec![What::Column(column.clone())],
            // A query that nobody could take apart reads all that there is.
            None => self.columns(table).unwrap_or_else(|| vec![What::All]),
        };
        for what in columns {
            self.edge(Place::new(table, what), to, kind);
        }
    }

    fn edge(&mut self, from: Place, to: &Place, kind: EdgeKind) {
        self.readers
            .entry(from.clone())
            .or_default()
            .insert((to.clone(), kind));
        self.sources
            .entry(to.clone())
            .or_default()
            .insert((from, kind));
    }

    /// The columns of a model in order; `None` when they are not known.
    fn columns(&self, model: &ModelName) -> Option<Vec<What>> {
        let schema = self.candidates.get(model)?.schema.as_ref()?;
        let names = schema.names();
        Some(names.map(|name| What::Column(name.to_owned())).collect())
    }

    /// Everything of a model.
    fn all_of(&self, model: &ModelName) -> BTreeSet<Place> {
        let columns = self.columns(model).unwrap_or_else(|| self.named(model));
        let columns = columns.into_iter().chain([What::Rows]);
        columns.map(|what| Place::new(model, what)).collect()
    }

    /// The columns of a table of which only those are known that somebody names.
    fn named(&self, model: &ModelName) -> Vec<What> {
        let places = self.readers.keys().chain(self.sources.keys());
        let named: BTreeSet<&What> = places
            .filter(|place| place.model == *model && place.what != What::Rows)
            .map(|place| &place.what)
            .collect();
        named.into_iter().cloned().collect()
    }

    /// What `place` is made of. The value of a column only: what decides its rows concerns the model.
    fn sources(&self, place: &Place) -> Vec<(Place, EdgeKind)> {
        let mut found = followed(&self.sources, place, self.is_known(&place.model));
        found.retain(|(_, kind)| place.what == What::Rows || *kind == EdgeKind::Value);
        found
    }

    /// What reads `place`.
    fn readers(&self, place: &Place) -> Vec<(Place, EdgeKind)> {
        followed(&self.readers, place, false)
    }

    fn is_known(&self, model: &ModelName) -> bool {
        self.columns(model).is_some()
    }

    fn node(&self, place: &Place) -> LineageNode {
        let candidate = self.candidates.get(&place.model);
        let data_type = match &place.what {
            What::Column(name) => candidate
                .and_then(|candidate| candidate.schema.as_ref())
                .and_then(|schema| schema.data_type(name))
                .map(|data_type| data_type.to_string()),
            What::All | What::Rows => None,
        };
        LineageNode {
            id: place.id(),
            model: place.model.to_string(),
            kind: candidate
                .map_or("TABLE", |candidate| candidate.model.kind.name())
                .to_owned(),
            column: match &place.what {
                What::All => Some("*".to_owned()),
                What::Column(name) => Some(name.clone()),
                What::Rows => None,
            },
            data_type,
        }
    }

    /// The models of these places whose queries are not taken apart.
    fn coarse(&self, places: &BTreeSet<Place>) -> Vec<CoarseModel> {
        let models: BTreeSet<&ModelName> = places.iter().map(|place| &place.model).collect();
        models
            .into_iter()
            .filter_map(|name| {
                let meaning = self.candidates.get(name)?.meaning.as_ref()?;
                Some(CoarseModel {
                    model: name.to_string(),
                    reason: meaning.coarse.clone()?,
                })
            })
            .collect()
    }

    /// The model and the column that `target` names; the longest model that fits wins.
    fn find(&self, target: &str) -> anyhow::Result<(&ModelName, Option<String>)> {
        // The quotes that names need in SQL make no difference.
        let plain = target.replace('"', "");
        let mut known: BTreeMap<String, &ModelName> = BTreeMap::new();
        let read = self.readers.keys().map(|place| &place.model);
        for name in read.chain(self.candidates.keys()) {
            known.insert(name.to_string().replace('"', "").to_lowercase(), name);
        }
        let ends = plain.match_indices('.').map(|(dot, _)| dot);
        let mut ends: Vec<usize> = ends.chain([plain.len()]).collect();
        ends.reverse();
        for end in ends {
            let Some(model) = known.get(&plain[..end].to_lowercase()) else {
                continue;
            };
            let column = plain.get(end + 1..).filter(|column| !column.is_empty());
            let column = column
                .map(|column| self.column(model, column))
                .transpose()?;
            return Ok((model, column));
        }
        let alike = |name: &&String| similarity(name, &plain.to_lowercase());
        let near = known
            .keys()
            .max_by(|left, right| alike(left).total_cmp(&alike(right)));
        let hint = near.map_or_else(String::new, |near| {
            format!("; did you mean `{}`?", known[near])
        });
        anyhow::bail!("there is no model `{target}`{hint}")
    }

    /// The column of `model` that `name` means.
    fn column(&self, model: &ModelName, name: &str) -> anyhow::Result<String> {
        let is_known = self.is_known(model);
        let columns = self.columns(model).unwrap_or_else(|| self.named(model));
        let names: Vec<&str> = columns
            .iter()
            .filter_map(|what| match what {
                What::Column(column) => Some(column.as_str()),
                What::All | What::Rows => None,
            })
            .collect();
        let exact = names.iter().find(|known| **known == name);
        let same = names.iter().find(|known| known.eq_ignore_ascii_case(name));
        if let Some(found) = exact.or(same) {
            return Ok((*found).to_owned());
        }
        // All columns of it are read or passed on without being named; this may be one of them.
        if !is_known && columns.contains(&What::All) {
            return Ok(name.to_owned());
        }
        let near = names
            .iter()
            .max_by(|left, right| similarity(left, name).total_cmp(&similarity(right, name)));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        if is_known {
            anyhow::bail!("`{model}` has no column `{name}`{hint}");
        }
        anyhow::bail!("nobody knows or reads a column `{name}` of `{model}`{hint}")
    }
}

/// The neighbours of `place`. Where the columns of its table are not known, `*` may be any of them.
fn followed(edges: &Edges, place: &Place, is_known: bool) -> Vec<(Place, EdgeKind)> {
    let mut found: BTreeSet<(Place, EdgeKind)> = BTreeSet::new();
    found.extend(edges.get(place).into_iter().flatten().cloned());
    let first = Place::new(&place.model, What::All);
    match place.what {
        What::Column(_) if !is_known => {
            found.extend(edges.get(&first).into_iter().flatten().cloned());
        }
        What::All => {
            let last = Place::new(&place.model, What::Rows);
            let others = edges.range(first..last).flat_map(|(_, others)| others);
            found.extend(others.cloned());
        }
        What::Column(_) | What::Rows => {}
    }
    found.into_iter().collect()
}
