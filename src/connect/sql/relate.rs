//! How rows of other tables hang on a record: links, and the tree of children.

use super::catalogue::{Column, ForeignKey, OnDelete, Table, TypeClass};
use super::engine::Dialect;
use super::predicate::{Printer, no_relations};
use super::resolve::{Faults, RELATED, known_table, writable};
use super::tables::Tables;
use crate::codes;
use crate::domain::recipe::Recipe;
use crate::domain::rule::Rule;
use crate::domain::selection::{Child, ChildAction, Relation, SqlSelection};

/// More tables below one rule than any real schema has.
const MOST_NODES: usize = 300;

/// A relation with its columns found: `table.on` refers to `to` of the table above.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) table: Table,
    pub(super) on: Vec<Column>,
    pub(super) to: Vec<Column>,
    /// A further condition, printed for the alias [`RELATED`].
    pub(super) filter: Option<String>,
    /// The path in the policy under which it stands.
    pub(super) at: String,
}

/// One table of the tree of children.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) table: Table,
    /// The place of the table above in the list; the rule's own table has none.
    pub(super) parent: Option<usize>,
    pub(super) link: Option<Link>,
    pub(super) action: NodeAction,
    /// References of the table to itself: the rows below a row that goes, go with it.
    pub(super) loops: Vec<Link>,
    /// The columns that name a row; empty where the table has no key.
    pub(super) key: Vec<Column>,
    /// The name for people.
    pub(super) label: String,
}

/// What becomes of the rows of a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeAction {
    /// They go.
    Delete,
    /// Their reference becomes NULL.
    Clear,
    /// These columns are anonymised.
    Anonymise(Vec<(Column, Recipe)>),
}

impl Node {
    /// The path in the policy under which it stands.
    pub(super) fn at(&self, rule: &Rule) -> String {
        self.link.as_ref().map_or_else(|| format!("rule.{}", rule.id), |link| link.at.clone())
    }
}

impl Link {
    /// Finds the columns of a relation: as declared, or as the one foreign key says.
    pub(super) fn resolve(
        relation: &Relation,
        above: &Table,
        above_key: &[Column],
        tables: &Tables,
        dialect: &dyn Dialect,
        at: &str,
        faults: &mut Faults,
    ) -> Option<Self> {
        let table = known_table(tables, &relation.table, &format!("{at}.table"), faults)?;
        let by = format!("{at}.{}", if relation.on.is_empty() { "table" } else { "on" });
        let (on, to) = if relation.on.is_empty() {
            let key = single_foreign_key(table, above, &by, faults)?;
            let to = if relation.to.is_empty() { key.target_columns.clone() } else { relation.to.clone() };
            (key.columns.clone(), to)
        } else if relation.to.is_empty() {
            (relation.on.clone(), above_key.iter().map(|column| column.name.clone()).collect())
        } else {
            (relation.on.clone(), relation.to.clone())
        };
        let on: Vec<Column> = on.iter().filter_map(|name| faults.column(table, name, &by)).collect();
        let to_at = if relation.to.is_empty() { by.clone() } else { format!("{at}.to") };
        let to: Vec<Column> = to.iter().filter_map(|name| faults.column(above, name, &to_at)).collect();
        if on.len() != to.len() || on.is_empty() {
            let text = format!(
                "{} of `{}` can't refer to {} of `{}`: as many columns on both sides",
                count(on.len()),
                table.name.name,
                count(to.len()),
                above.name.name
            );
            faults.fault(
                codes::RELATION_COLUMNS,
                &by,
                text,
                "write the referring columns in `on` and those referred to in `to`",
            );
            return None;
        }
        if !on.iter().zip(&to).all(|(from, target)| compares(table, from, above, target, &by, faults)) {
            return None;
        }
        let printer = Printer { dialect, table, alias: RELATED, exists: &no_relations };
        let filter = match &relation.filter {
            None => None,
            Some(filter) => Some(faults.printed(printer.print(filter), table, &format!("{at}.where"))?),
        };
        Some(Self { table: table.clone(), on, to, filter, at: at.to_string() })
    }

    fn of_foreign_key(key: &ForeignKey, table: &Table, above: &Table, at: &str) -> Option<Self> {
        let find = |table: &Table, names: &[String]| {
            names.iter().map(|name| table.column(name).cloned()).collect::<Option<Vec<Column>>>()
        };
        let (on, to) = (find(table, &key.columns)?, find(above, &key.target_columns)?);
        Some(Self { table: table.clone(), on, to, filter: None, at: at.to_string() })
    }

    /// `c.on = above.to AND ...`.
    pub(super) fn joined(&self, dialect: &dyn Dialect, above: &str) -> String {
        let pairs = self
            .on
            .iter()
            .zip(&self.to)
            .map(|(on, to)| format!("{RELATED}.{} = {above}.{}", dialect.name(&on.name), dialect.name(&to.name)));
        pairs.chain(self.filter.clone()).collect::<Vec<_>>().join(" AND ")
    }

    /// `EXISTS (...)` for the row above.
    pub(super) fn exists(&self, dialect: &dyn Dialect, above: &str, matching: Option<&str>) -> String {
        let matching = matching.map(|text| format!(" AND {text}")).unwrap_or_default();
        let table = dialect.table(&self.table.name);
        format!("EXISTS (SELECT 1 FROM {table} {RELATED} WHERE {}{matching})", self.joined(dialect, above))
    }

    /// A fault unless each row of this table belongs to one row above: what two share is not taken along with one.
    fn belongs_to_one(&self, above: &Table, faults: &mut Faults) -> bool {
        let to: Vec<String> = self.to.iter().map(|column| column.name.clone()).collect();
        if above.is_unique(&to) {
            return true;
        }
        let text = format!(
            "rows of `{}` refer to {} of `{}`, which is not unique: one row may belong to several, and would go with \
             the first of them",
            self.table.name.name,
            to.join(", "),
            above.name.name
        );
        faults.fault(
            codes::CHILD_SHARED,
            &self.table_at(),
            text,
            "relate them by a unique key, or make a rule of its own for that table",
        );
        false
    }

    /// The path of its table in the policy.
    pub(super) fn table_at(&self) -> String {
        format!("{}.table", self.at)
    }

    /// The names of the referring columns.
    pub(super) fn on_names(&self) -> Vec<String> {
        self.on.iter().map(|column| column.name.clone()).collect()
    }
}

fn count(columns: usize) -> String {
    if columns == 1 { "1 column".into() } else { format!("{columns} columns") }
}

/// Classes whose values an engine compares without turning one kind into another.
pub(super) fn comparable(a: TypeClass, b: TypeClass) -> bool {
    let number = |class| matches!(class, TypeClass::Integer | TypeClass::Decimal);
    a == b || (number(a) && number(b)) || a == TypeClass::Dynamic || b == TypeClass::Dynamic
}

/// Whether two columns hold the same kind of value and compare texts in the same way; a fault otherwise.
fn compares(table: &Table, from: &Column, above: &Table, target: &Column, at: &str, faults: &mut Faults) -> bool {
    let told = |from_is: &str, target_is: &str| {
        format!(
            "`{}`.`{}` ({from_is}) and `{}`.`{}` ({target_is})",
            table.name.name, from.name, above.name.name, target.name
        )
    };
    if !comparable(from.class, target.class) {
        let text = format!("{} are of different kinds: comparing them can match too much", told(&from.ty, &target.ty));
        faults.fault(codes::RELATION_TYPES, at, text, "relate columns of the same kind");
        return false;
    }
    let how = |column: &Column| column.collation.clone().unwrap_or_else(|| "by bytes".into());
    if from.collation != target.collation {
        let both = told(&how(from), &how(target));
        let text = format!("{both} compare texts in different ways: one sees two rows where the other sees one");
        let remedy = "give both columns the same collation, or relate them by a number";
        faults.fault(codes::RELATION_COLLATIONS, at, text, remedy);
        return false;
    }
    true
}

fn single_foreign_key<'a>(table: &'a Table, above: &Table, at: &str, faults: &mut Faults) -> Option<&'a ForeignKey> {
    let keys: Vec<&ForeignKey> = table.references.iter().filter(|key| key.target == above.name).collect();
    match keys.as_slice() {
        [key] => Some(key),
        [] => {
            let text = format!("no foreign key leads from `{}` to `{}`", table.name.name, above.name.name);
            faults.fault(codes::RELATION_COLUMNS, at, text, "name the referring columns: `on = \"...\"`");
            None
        }
        _ => {
            let text = format!("several foreign keys lead from `{}` to `{}`", table.name.name, above.name.name);
            faults.fault(codes::RELATION_COLUMNS, at, text, "say which: `on = \"...\"`");
            None
        }
    }
}

/// The tree of children as a list, parents first.
pub(super) fn nodes(
    rule: &Rule,
    sql: &SqlSelection,
    table: &Table,
    key: &[Column],
    tables: &Tables,
    dialect: &dyn Dialect,
    faults: &mut Faults,
) -> Vec<Node> {
    let root = Node {
        table: table.clone(),
        parent: None,
        link: None,
        action: NodeAction::Delete,
        loops: Vec::new(),
        key: key.to_vec(),
        label: table.name.name.clone(),
    };
    let mut tree = Tree { rule, tables, dialect, faults, nodes: vec![root] };
    tree.declare(0, &sql.children);
    if sql.follow_foreign_keys {
        tree.follow(0);
    }
    tree.nodes
}

struct Tree<'a> {
    rule: &'a Rule,
    tables: &'a Tables,
    dialect: &'a dyn Dialect,
    faults: &'a mut Faults,
    nodes: Vec<Node>,
}

impl Tree<'_> {
    /// The path in the policy of what was found by foreign keys.
    fn followed(&self) -> String {
        format!("rule.{}.follow-foreign-keys", self.rule.id)
    }

    fn declare(&mut self, parent: usize, children: &[Child]) {
        for (number, child) in children.iter().enumerate() {
            let Some(node) = self.nodes.get(parent) else { return };
            let (above, above_key) = (node.table.clone(), node.key.clone());
            let at = format!("{}.children.{number}", node.at(self.rule));
            let link = Link::resolve(&child.relation, &above, &above_key, self.tables, self.dialect, &at, self.faults);
            let Some(link) = link.filter(|link| link.belongs_to_one(&above, self.faults)) else { continue };
            if link.table.name == above.name && child.then == ChildAction::Delete {
                let below = format!("{at}.children");
                if let Some(node) = self.nodes.get_mut(parent) {
                    node.loops.push(link);
                }
                if !child.children.is_empty() {
                    let text = format!(
                        "`{}` refers to itself here: name what belongs to its rows one level up",
                        above.name.name
                    );
                    self.faults.fault(codes::TABLE_CIRCLE, &below, text, "move these children to the same table above");
                }
                continue;
            }
            if child.then == ChildAction::Delete && self.is_above(parent, &link.table.name) {
                let text = format!("`{}` stands above itself in the tree of children", link.table.name.name);
                self.faults.fault(
                    codes::TABLE_CIRCLE,
                    &link.table_at(),
                    text,
                    "clear the reference that closes the circle: `then.clear = true`",
                );
                continue;
            }
            let key = self.key_of(&link.table);
            let action = match &child.then {
                ChildAction::Delete => NodeAction::Delete,
                ChildAction::Clear => self.clear(&link),
                ChildAction::Anonymise(recipes) => {
                    NodeAction::Anonymise(writable(recipes, &link.table, &key, &format!("{at}.then"), self.faults))
                }
            };
            let place = self.push(parent, link, action, key, &child.relation.table.to_string());
            self.declare(place, &child.children);
        }
    }

    /// The columns that name a row; in the records' own table those of the rule, so that a record is known again there.
    fn key_of(&self, table: &Table) -> Vec<Column> {
        let root = self.nodes.first().filter(|root| root.table.name == table.name && !root.key.is_empty());
        root.map_or_else(|| row_key(table), |root| root.key.clone())
    }

    fn clear(&mut self, link: &Link) -> NodeAction {
        let at = format!("{}.then", link.at);
        for column in link.on.iter().filter(|column| !column.nullable || column.generated) {
            let text = format!("`{}`.`{}` can't become NULL", link.table.name.name, column.name);
            self.faults.fault(codes::NULL_CONFLICT, &at, text, "delete these rows, or anonymise them");
        }
        NodeAction::Clear
    }

    fn push(&mut self, parent: usize, link: Link, action: NodeAction, key: Vec<Column>, label: &str) -> usize {
        let anonymises = matches!(action, NodeAction::Anonymise(_));
        let above_lacks = self.nodes.get(parent).is_some_and(|node| node.key.is_empty());
        // Once its reference is NULL, a row without a key could not be found again to be put back.
        let to_be_found = anonymises || (action == NodeAction::Clear && self.rule.undo.is_some());
        let keyless_with_more = key.is_empty() && (to_be_found || link.filter.is_some());
        if keyless_with_more || above_lacks {
            let named =
                if above_lacks { self.nodes.get(parent).map(|node| node.table.name.name.clone()) } else { None };
            let text = format!(
                "table `{}` has no key, so its rows can't be told apart",
                named.unwrap_or_else(|| link.table.name.name.clone())
            );
            self.faults.fault(
                codes::CHILD_WITHOUT_KEY,
                &link.table_at(),
                text,
                "give it a primary key, or only delete its rows",
            );
        }
        let table = link.table.clone();
        self.twice(parent, &link, &action);
        let label = self.named_apart(&link, label);
        self.nodes.push(Node { table, parent: Some(parent), link: Some(link), action, loops: Vec::new(), key, label });
        self.nodes.len() - 1
    }

    /// A fault where the same rows of the same table hang below one record twice: only one thing can become of them.
    fn twice(&mut self, parent: usize, link: &Link, action: &NodeAction) {
        let same = |node: &Node| {
            node.parent == Some(parent)
                && node.link.as_ref().is_some_and(|one| one.table.name == link.table.name && one.on == link.on)
        };
        let other = self.nodes.iter().find(|node| same(node));
        let apart = |node: &Node| {
            // Rows told apart by their conditions are for the policy's author to tell apart rightly.
            node.link
                .as_ref()
                .is_some_and(|one| one.filter.is_some() && link.filter.is_some() && one.filter != link.filter)
        };
        let Some(other) = other.filter(|node| !apart(node)) else { return };
        let what = if other.action == *action { "once is enough" } else { "one thing can become of them" };
        let text =
            format!("rows of `{}` by {} are named twice: {what}", link.table.name.name, link.on_names().join(", "));
        self.faults.fault(
            codes::CHILD_TWICE,
            &link.table_at(),
            text,
            "take one of the two out, or tell their rows apart by `where`",
        );
    }

    /// The name for people: with the referring columns where the table hangs in the tree more than once.
    fn named_apart(&mut self, link: &Link, label: &str) -> String {
        let with = |label: &str, link: &Link| format!("{label} ({})", link.on_names().join(", "));
        let mut named = label.to_string();
        for node in self.nodes.iter_mut().skip(1).filter(|node| node.table.name == link.table.name) {
            if node.label == label
                && let Some(own) = &node.link
            {
                node.label = with(label, own);
            }
            named = with(label, link);
        }
        named
    }

    /// Adds each table that a foreign key leads from and that is not declared yet, to any depth.
    fn follow(&mut self, place: usize) {
        let mut place = place;
        while let Some(node) = self.nodes.get(place) {
            if node.action == NodeAction::Delete {
                let keys = node.table.referenced_by.clone();
                for key in &keys {
                    self.follow_one(place, key);
                }
            }
            place += 1;
            if self.nodes.len() > MOST_NODES {
                let (at, text) = (self.followed(), format!("more than {MOST_NODES} tables hang below this rule"));
                self.faults.fault(codes::TABLE_CIRCLE, &at, text, "declare the children by name instead");
                return;
            }
        }
    }

    fn follow_one(&mut self, place: usize, key: &ForeignKey) {
        let Some(above) = self.nodes.get(place).map(|node| node.table.clone()) else { return };
        if named(&self.nodes, place, key).is_some() {
            return;
        }
        let at = self.followed();
        let Some(table) = known_table(self.tables, &key.table, &at, self.faults) else { return };
        let link = Link::of_foreign_key(key, table, &above, &at);
        let Some(link) = link.filter(|link| link.belongs_to_one(&above, self.faults)) else { return };
        if key.table == above.name {
            if let Some(node) = self.nodes.get_mut(place) {
                node.loops.push(link);
            }
            return;
        }
        if self.is_above(place, &key.table) {
            let text = format!("foreign keys form a circle through `{}` and `{}`", key.table.name, above.name.name);
            self.faults.fault(
                codes::TABLE_CIRCLE,
                &at,
                text,
                "declare the children by name, and clear the reference that closes the circle",
            );
            return;
        }
        // A reference that may be empty and that the schema itself empties: the row belongs to somebody else.
        let action = if key.on_delete == OnDelete::Clear { NodeAction::Clear } else { NodeAction::Delete };
        let (key, label) = (self.key_of(table), table.name.name.clone());
        self.push(place, link, action, key, &label);
    }

    fn is_above(&self, place: usize, name: &crate::domain::selection::TableName) -> bool {
        let mut at = Some(place);
        while let Some(node) = at.and_then(|place| self.nodes.get(place)) {
            if &node.table.name == name {
                return true;
            }
            at = node.parent;
        }
        false
    }
}

/// The child of this node that speaks of the rows of this foreign key, of all or of some.
pub(super) fn named<'n>(nodes: &'n [Node], place: usize, key: &'n ForeignKey) -> Option<&'n Link> {
    let mut loops = nodes.get(place).into_iter().flat_map(|node| &node.loops);
    let child = children_by(nodes, place, key).find_map(|node| node.link.as_ref());
    child.or_else(|| loops.find(|link| is_by(link, key)))
}

/// Whether the children of this node leave nothing for this foreign key to do: all of its rows go, or no longer refer,
/// before the record goes. Of a key that refuses it is enough that none of them stays by the rule's own wish: a row that
/// no condition takes keeps its record.
pub(super) fn covers(nodes: &[Node], place: usize, key: &ForeignKey) -> bool {
    let loops = nodes.get(place).into_iter().flat_map(|node| &node.loops);
    let all = |link: &Link| link.filter.is_none() || key.on_delete == OnDelete::Refuse;
    let ends = |node: &&Node| !matches!(node.action, NodeAction::Anonymise(_)) && node.link.as_ref().is_some_and(all);
    loops.into_iter().any(|link| is_by(link, key)) || children_by(nodes, place, key).any(|node| ends(&node))
}

fn children_by<'n>(nodes: &'n [Node], place: usize, key: &'n ForeignKey) -> impl Iterator<Item = &'n Node> {
    let by = move |node: &&Node| node.link.as_ref().is_some_and(|link| is_by(link, key));
    nodes.iter().filter(move |node| node.parent == Some(place)).filter(by)
}

fn is_by(link: &Link, key: &ForeignKey) -> bool {
    link.table.name == key.table && link.on_names() == key.columns
}

/// The columns by which rows of a child table are told apart: its primary key, where it is usable, or a unique index
/// without NULL.
fn row_key(table: &Table) -> Vec<Column> {
    let candidates = std::iter::once(&table.primary_key).chain(&table.unique);
    for names in candidates {
        let columns: Vec<Column> = names.iter().filter_map(|name| table.column(name).cloned()).collect();
        let usable = columns.iter().all(|column| column.class != TypeClass::Float && !column.nullable);
        if usable && columns.len() == names.len() && table.is_key(names) {
            return columns;
        }
    }
    Vec::new()
}
