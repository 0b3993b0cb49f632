//! Which part of the history somebody wants to see.

use sea_orm::sea_query::{Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition};
use setpoint_entity::{change, head, invalid_change, revision, unconfirmed};
use setpoint_importers::Key;

use crate::setting::within;

/// What is wanted; everything, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only what happened in these.
    pub namespaces: Option<Vec<String>>,
    /// Only what happened to this key and those below it.
    pub key: Option<Key>,
    pub actor: Option<String>,
    /// The door it came through, such as `api`.
    pub channel: Option<String>,
    /// The first and the last moment, as they are stored.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Only revisions before this one.
    pub before: Option<i64>,
    /// Only this revision.
    pub revision: Option<i64>,
    /// Only what the service keeps out.
    pub kept_out: bool,
    /// Only revisions that wait to be confirmed.
    pub unconfirmed: bool,
}

/// The place of an event in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPlace {
    pub revision: i64,
    pub namespace: String,
    pub layer: String,
    pub key: String,
}

impl Wanted {
    pub(super) fn of_revisions(&self) -> Condition {
        use revision::Column;
        let wanted = self.said_of_revisions();
        match self.namespaces.is_some() || self.key.is_some() {
            true => wanted.add(Column::Id.in_subquery(changed(self.said_of_changes()))),
            false => wanted,
        }
    }

    pub(super) fn of_events(&self) -> Condition {
        use change::Column;
        let mut wanted = self.said_of_changes();
        if self.actor.is_some()
            || self.channel.is_some()
            || self.from.is_some()
            || self.to.is_some()
            || self.unconfirmed
        {
            let revisions = Query::select()
                .column(revision::Column::Id)
                .from(revision::Entity)
                .cond_where(self.said_of_revisions())
                .to_owned();
            wanted = wanted.add(Column::Revision.in_subquery(revisions));
        }
        if self.kept_out {
            wanted = wanted.add(kept_out());
        }
        wanted
            .add_option(self.before.map(|it| Column::Revision.lt(it)))
            .add_option(self.revision.map(|it| Column::Revision.eq(it)))
    }

    pub(super) fn in_namespaces(&self) -> Condition {
        let namespaces = self.namespaces.as_ref();
        Condition::all().add_option(namespaces.map(|it| change::Column::Namespace.is_in(it)))
    }

    fn said_of_revisions(&self) -> Condition {
        use revision::Column;
        Condition::all()
            .add_option(self.actor.as_ref().map(|it| Column::Actor.eq(it)))
            .add_option(self.channel.as_ref().map(|it| Column::Channel.eq(it)))
            .add_option(self.from.as_ref().map(|it| Column::At.gte(it)))
            .add_option(self.to.as_ref().map(|it| Column::At.lte(it)))
            .add_option(self.before.map(|it| Column::Id.lt(it)))
            .add_option(self.revision.map(|it| Column::Id.eq(it)))
            .add_option(self.unconfirmed.then(|| Column::Id.in_subquery(waiting())))
    }

    fn said_of_changes(&self) -> Condition {
        let key = self.key.as_ref().map(|it| within(change::Column::Key, it));
        self.in_namespaces().add_option(key)
    }
}

impl EventPlace {
    /// The events that come after this one.
    pub(super) fn behind(&self) -> Condition {
        use change::Column;
        let (namespace, layer, key) = (&self.namespace, &self.layer, &self.key);
        let key = Condition::all().add(Column::Layer.eq(layer)).add(Column::Key.gt(key));
        let layer = Condition::any().add(Column::Layer.gt(layer)).add(key);
        let layer = Condition::all().add(Column::Namespace.eq(namespace)).add(layer);
        let namespace = Condition::any().add(Column::Namespace.gt(namespace)).add(layer);
        let same = Condition::all().add(Column::Revision.eq(self.revision)).add(namespace);
        Condition::any().add(Column::Revision.lt(self.revision)).add(same)
    }
}

/// The revisions of the changes that `which` finds.
fn changed(which: Condition) -> SelectStatement {
    Query::select()
        .column(change::Column::Revision)
        .from(change::Entity)
        .cond_where(which)
        .to_owned()
}

/// The revisions that wait to be confirmed.
fn waiting() -> SelectStatement {
    let epoch = Query::select().column(head::Column::Epoch).from(head::Entity).to_owned();
    Query::select()
        .column(unconfirmed::Column::Revision)
        .from(unconfirmed::Entity)
        .and_where(unconfirmed::Column::State.eq("waiting"))
        .and_where(unconfirmed::Column::Epoch.in_subquery(epoch))
        .to_owned()
}

/// A change that was written down as invalid.
fn kept_out() -> Condition {
    use sea_orm::ExprTrait;
    use sea_orm::sea_query::Expr;
    let same = |a: change::Column, b: invalid_change::Column| {
        Expr::col((change::Entity, a)).equals((invalid_change::Entity, b))
    };
    let row = Query::select()
        .expr(Expr::val(1))
        .from(invalid_change::Entity)
        .and_where(same(change::Column::Revision, invalid_change::Column::Revision))
        .and_where(same(change::Column::Namespace, invalid_change::Column::Namespace))
        .and_where(same(change::Column::Layer, invalid_change::Column::Layer))
        .and_where(same(change::Column::Key, invalid_change::Column::Key))
        .to_owned();
    Condition::all().add(Expr::exists(row))
}
