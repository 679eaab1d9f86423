//! `siding lineage`

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::printer::Paint;
use crate::cli::printer::Printer;
use crate::cli::printer::Tone;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::ops;
use crate::ops::Direction;
use crate::ops::EdgeKind;
use crate::ops::Lineage;
use crate::ops::LineageNode;

/// Show which columns a column is made of, or which are made of it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model, or a column of it: `sales.orders` or `sales.orders.amount`
    #[arg(value_name = "MODEL[.COLUMN]")]
    target: String,
    /// Show what it is made of, down to external tables and seeds; the default
    #[arg(long)]
    upstream: bool,
    /// Show what reads it, for its values or for its rows
    #[arg(long, conflicts_with = "upstream")]
    downstream: bool,
}

pub(super) fn run(settings: &Settings, args: &Args, printer: &Printer) -> anyhow::Result<Ending> {
    let project = ops::read_project(&settings.session())?;
    if printer.format != Format::Json && !project.warnings.is_empty() {
        printer.note(&diagnostics::in_files(
            &project.warnings,
            &project.files,
            printer,
        ));
    }
    let direction = if args.upstream || !args.downstream {
        Direction::Upstream
    } else {
        Direction::Downstream
    };
    let lineage = ops::lineage(&project.candidates, &args.target, direction)?;
    if printer.format != Format::Json {
        for coarse in &lineage.coarse {
            let label = printer.paint_notes().tone(Tone::Caution, "note:");
            printer.note(&format!(
                "{label} the query of `{}` cannot be taken apart ({}): all that it reads stands below each of its columns",
                coarse.model, coarse.reason
            ));
        }
    }
    match printer.format {
        Format::Json => printer.json(&lineage)?,
        Format::Text => printer.text(&Tree::new(&lineage, printer.paint()).text()),
        Format::Mermaid => printer.text(&mermaid(&lineage)),
        Format::Markdown => printer.text(&format!("```mermaid\n{}\n```", mermaid(&lineage))),
    }
    Ok(Ending::Fine)
}

/// A lineage as a tree: under each column what it is made of, or what reads it.
struct Tree<'a> {
    lineage: &'a Lineage,
    paint: Paint,
    nodes: BTreeMap<&'a str, &'a LineageNode>,
    below: BTreeMap<&'a str, Vec<(&'a str, EdgeKind)>>,
}

/// A line that is still to be written.
struct Line<'a> {
    id: &'a str,
    kind: EdgeKind,
    stem: String,
    is_last: bool,
}

impl<'a> Tree<'a> {
    fn new(lineage: &'a Lineage, paint: Paint) -> Self {
        let mut below: BTreeMap<&str, Vec<(&str, EdgeKind)>> = BTreeMap::new();
        for edge in &lineage.edges {
            let (over, under) = match lineage.direction {
                Direction::Upstream => (&edge.to, &edge.from),
                Direction::Downstream => (&edge.from, &edge.to),
            };
            below.entry(over).or_default().push((under, edge.kind));
        }
        let nodes = lineage.nodes.iter();
        Self {
            lineage,
            paint,
            nodes: nodes.map(|node| (node.id.as_str(), node)).collect(),
            below,
        }
    }

    fn text(&self) -> String {
        let lineage = self.lineage;
        let roots: Vec<&LineageNode> = lineage
            .nodes
            .iter()
            .filter(|node| node.model == lineage.model)
            .filter(|node| lineage.column.is_none() || node.column == lineage.column)
            .collect();
        let mut lines = Vec::new();
        let mut shown = BTreeSet::new();
        let mut waiting = Vec::new();
        match (&lineage.column, roots.first()) {
            (Some(_), Some(root)) => {
                lines.push(self.heading(&root.id, root.data_type.as_deref()));
                shown.insert(root.id.as_str());
                self.push_below(&root.id, "", &mut waiting);
            }
            (_, first) => {
                let kind = first.map_or("", |node| node.kind.as_str());
                lines.push(self.heading(&lineage.model, Some(kind)));
                for (place, root) in roots.iter().enumerate().rev() {
                    waiting.push(Line {
                        id: &root.id,
                        kind: EdgeKind::Value,
                        stem: String::new(),
                        is_last: place + 1 == roots.len(),
                    });
                }
            }
        }
        if waiting.is_empty() {
            let nothing = match lineage.direction {
                Direction::Upstream => "made of nothing that is read",
                Direction::Downstream => "nothing reads it",
            };
            lines.push(format!("└── {}", self.paint.tone(Tone::Faint, nothing)));
        }
        while let Some(line) = waiting.pop() {
            let branch = if line.is_last {
                "└── "
            } else {
                "├── "
            };
            let is_root = line.stem.is_empty() && lineage.column.is_none();
            let known = self.below.contains_key(line.id) && !shown.insert(line.id);
            let mut label = self.label(line.id, line.kind, is_root);
            if known {
                label.push_str(&self.paint.tone(Tone::Faint, " (as above)"));
            }
            lines.push(format!("{}{branch}{label}", line.stem));
            if !known {
                let stem = if line.is_last { "    " } else { "│   " };
                self.push_below(line.id, &format!("{}{stem}", line.stem), &mut waiting);
            }
        }
        lines.join("\n")
    }

    fn heading(&self, name: &str, faint: Option<&str>) -> String {
        let mut heading = self.paint.tone(Tone::Strong, name);
        if let Some(faint) = faint.filter(|faint| !faint.is_empty()) {
            heading.push(' ');
            heading.push_str(&self.paint.tone(Tone::Faint, faint));
        }
        heading
    }

    fn label(&self, id: &str, kind: EdgeKind, is_root: bool) -> String {
        let node = self.nodes[id];
        let faint = |text: &str| self.paint.tone(Tone::Faint, text);
        match (&node.column, is_root) {
            (None, true) => faint("which rows"),
            (None, false) => format!("{} {}", node.model, faint("(which rows)")),
            (Some(column), true) => match &node.data_type {
                Some(data_type) => format!("{column} {}", faint(data_type)),
                None => column.clone(),
            },
            // Downstream only: upstream it is the line above that says so.
            (Some(_), false)
                if kind == EdgeKind::Rows && self.lineage.direction == Direction::Downstream =>
            {
                format!("{id} {}", faint("(which rows it is made of)"))
            }
            (Some(_), false) => id.to_owned(),
        }
    }

    /// Puts what stands below `id` on the stack, the first on top.
    fn push_below(&self, id: &str, stem: &str, waiting: &mut Vec<Line<'a>>) {
        let below = self.below.get(id).map_or(&[][..], Vec::as_slice);
        for (place, (id, kind)) in below.iter().enumerate().rev() {
            waiting.push(Line {
                id,
                kind: *kind,
                stem: stem.to_owned(),
                is_last: place + 1 == below.len(),
            });
        }
    }
}

/// A lineage as a Mermaid diagram: solid arrows for values, dotted ones for rows.
fn mermaid(lineage: &Lineage) -> String {
    let mut text = String::from("flowchart LR");
    let mut numbers = BTreeMap::new();
    for (number, node) in lineage.nodes.iter().enumerate() {
        numbers.insert(node.id.as_str(), number);
        let (open, close) = match node.column {
            Some(_) => ('[', ']'),
            None => ('(', ')'),
        };
        let _ = write!(text, "\n  n{number}{open}\"{}\"{close}", escaped(&node.id));
    }
    for edge in &lineage.edges {
        let arrow = match edge.kind {
            EdgeKind::Value => "-->",
            EdgeKind::Rows => "-.->",
        };
        let (from, to) = (numbers[edge.from.as_str()], numbers[edge.to.as_str()]);
        let _ = write!(text, "\n  n{from} {arrow} n{to}");
    }
    text
}

/// `label` between Mermaid's quotes: whatever has a meaning there, and line breaks, as character codes.
fn escaped(label: &str) -> String {
    let mut escaped = String::with_capacity(label.len());
    for character in label.chars() {
        match character {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                let _ = write!(escaped, "#{};", u32::from(character));
            }
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_leave_its_quotes() {
        assert_eq!(
            escaped("a.\"b\"]\n<i>"),
            "a.#34;b#34;] #60;i#62;".to_owned()
        );
    }
}
