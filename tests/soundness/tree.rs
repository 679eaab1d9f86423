//! Queries as trees that can be made, edited and printed. Not Siding's trees: the test must not trust them.

/// A whole query, or one in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) recursive: bool,
    pub(crate) ctes: Vec<Cte>,
    pub(crate) body: Body,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<String>,
    pub(crate) offset: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cte {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
    pub(crate) query: Query,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set {
        /// Such as `UNION ALL BY NAME`.
        operator: String,
        left: Box<Query>,
        right: Box<Query>,
    },
    Values(Vec<Vec<Expr>>),
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Select {
    /// `FROM … SELECT …`
    pub(crate) from_first: bool,
    pub(crate) distinct: Distinct,
    pub(crate) items: Vec<Item>,
    pub(crate) from: Vec<Source>,
    /// Joined by AND.
    pub(crate) filter: Vec<Expr>,
    pub(crate) group: Group,
    pub(crate) having: Vec<Expr>,
    pub(crate) windows: Vec<(String, Window)>,
    pub(crate) qualify: Vec<Expr>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) enum Distinct {
    #[default]
    No,
    All,
    On(Vec<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Expr {
        expr: Expr,
        alias: Option<String>,
    },
    Star {
        qualifier: Option<String>,
        exclude: Vec<String>,
        replace: Vec<(Expr, String)>,
        rename: Vec<(String, String)>,
    },
    /// `COLUMNS('…')`
    Columns(String),
}

/// One element of a FROM list with what is joined to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    pub(crate) relation: Relation,
    pub(crate) joins: Vec<Join>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Relation {
    Table {
        name: String,
        alias: Option<String>,
    },
    Sub {
        query: Box<Query>,
        alias: String,
        lateral: bool,
    },
    /// A table function such as `unnest(…)`.
    Function {
        call: Expr,
        alias: String,
        column: String,
    },
    Pivot {
        input: Box<Query>,
        aggregate: Expr,
        on: String,
        values: Vec<String>,
        group: Vec<String>,
        alias: String,
    },
    Unpivot {
        input: Box<Query>,
        columns: Vec<String>,
        name: String,
        value: String,
        alias: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    /// Such as `LEFT JOIN`.
    pub(crate) kind: String,
    pub(crate) relation: Relation,
    pub(crate) on: On,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum On {
    Nothing,
    /// Conditions that are joined by AND.
    All(Vec<Expr>),
    Using(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) enum Group {
    #[default]
    No,
    By(Vec<Expr>),
    All,
    Rollup(Vec<Expr>),
    Cube(Vec<Expr>),
    Sets(Vec<Vec<Expr>>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Window {
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<Order>,
    /// Such as `ROWS BETWEEN 1 PRECEDING AND CURRENT ROW`.
    pub(crate) frame: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Over {
    Named(String),
    Window(Window),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) distinct: bool,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) filter: Option<Box<Expr>>,
    pub(crate) over: Option<Over>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Column {
        qualifier: Option<String>,
        name: String,
    },
    /// Numbers, texts, dates as SQL.
    Literal(String),
    /// `@name`, a variable of the project.
    Variable(String),
    Binary {
        left: Box<Self>,
        operator: String,
        right: Box<Self>,
    },
    Not(Box<Self>),
    IsNull {
        expr: Box<Self>,
        not: bool,
    },
    Call(Call),
    Case {
        branches: Vec<(Self, Self)>,
        otherwise: Option<Box<Self>>,
    },
    Cast {
        expr: Box<Self>,
        to: String,
        /// `x::INT` rather than `CAST(x AS INT)`
        short: bool,
    },
    Between {
        expr: Box<Self>,
        low: Box<Self>,
        high: Box<Self>,
    },
    In {
        expr: Box<Self>,
        list: Vec<Self>,
        not: bool,
    },
    InQuery {
        expr: Box<Self>,
        query: Box<Query>,
        not: bool,
    },
    Exists {
        query: Box<Query>,
        not: bool,
    },
    Scalar(Box<Query>),
    Field(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    List(Vec<Self>),
    Struct(Vec<(String, Self)>),
}

impl Query {
    pub(crate) fn of(select: Select) -> Self {
        Self::with(Body::Select(Box::new(select)))
    }

    pub(crate) fn with(body: Body) -> Self {
        Self {
            recursive: false,
            ctes: Vec::new(),
            body,
            order: Vec::new(),
            limit: None,
            offset: None,
        }
    }

    pub(crate) fn select_mut(&mut self) -> Option<&mut Select> {
        match &mut self.body {
            Body::Select(select) => Some(select),
            Body::Set { .. } | Body::Values(_) => None,
        }
    }

    pub(crate) fn select(&self) -> Option<&Select> {
        match &self.body {
            Body::Select(select) => Some(select),
            Body::Set { .. } | Body::Values(_) => None,
        }
    }
}

impl Relation {
    pub(crate) fn table(name: &str, alias: Option<&str>) -> Self {
        Self::Table {
            name: name.to_owned(),
            alias: alias.map(str::to_owned),
        }
    }

    /// What columns of it are qualified with.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Table { name, alias } => alias
                .as_deref()
                .unwrap_or_else(|| name.rsplit('.').next().unwrap_or(name)),
            Self::Sub { alias, .. }
            | Self::Function { alias, .. }
            | Self::Pivot { alias, .. }
            | Self::Unpivot { alias, .. } => alias,
        }
    }
}

impl Source {
    pub(crate) fn of(relation: Relation) -> Self {
        Self {
            relation,
            joins: Vec::new(),
        }
    }
}

impl Item {
    pub(crate) fn of(expr: Expr, alias: Option<&str>) -> Self {
        Self::Expr {
            expr,
            alias: alias.map(str::to_owned),
        }
    }

    pub(crate) fn star(qualifier: Option<&str>) -> Self {
        Self::Star {
            qualifier: qualifier.map(str::to_owned),
            exclude: Vec::new(),
            replace: Vec::new(),
            rename: Vec::new(),
        }
    }

    /// The name of the column, where it is not left to the engine.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Expr {
                alias: Some(alias), ..
            } => Some(alias),
            Self::Expr {
                expr: Expr::Column { name, .. } | Expr::Field(_, name),
                ..
            } => Some(name),
            Self::Expr { .. } | Self::Star { .. } | Self::Columns(_) => None,
        }
    }
}

impl Order {
    pub(crate) fn by(expr: Expr) -> Self {
        Self {
            expr,
            descending: false,
            nulls_first: None,
        }
    }
}

impl Expr {
    pub(crate) fn column(name: &str) -> Self {
        Self::Column {
            qualifier: None,
            name: name.to_owned(),
        }
    }

    pub(crate) fn qualified(qualifier: &str, name: &str) -> Self {
        Self::Column {
            qualifier: Some(qualifier.to_owned()),
            name: name.to_owned(),
        }
    }

    pub(crate) fn literal(text: impl Into<String>) -> Self {
        Self::Literal(text.into())
    }

    pub(crate) fn binary(left: Self, operator: &str, right: Self) -> Self {
        Self::Binary {
            left: Box::new(left),
            operator: operator.to_owned(),
            right: Box::new(right),
        }
    }

    pub(crate) fn call(name: &str, arguments: Vec<Self>) -> Self {
        Self::Call(Call {
            name: name.to_owned(),
            distinct: false,
            arguments,
            order: Vec::new(),
            filter: None,
            over: None,
        })
    }

    pub(crate) fn over(name: &str, arguments: Vec<Self>, over: Over) -> Self {
        Self::Call(Call {
            name: name.to_owned(),
            distinct: false,
            arguments,
            order: Vec::new(),
            filter: None,
            over: Some(over),
        })
    }

    pub(crate) fn cast(self, to: &str) -> Self {
        Self::Cast {
            expr: Box::new(self),
            to: to.to_owned(),
            short: false,
        }
    }
}
