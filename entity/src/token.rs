use sea_orm::entity::prelude::*;

/// Who may use the service. It stays when it is revoked, for the audit.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Of its text, which is nowhere.
    #[sea_orm(unique)]
    pub hash: String,
    /// `viewer`, `editor` or `admin`.
    pub role: String,
    /// A JSON array of those it is for; none if it is for all.
    pub namespaces: Option<String>,
    pub created_at: String,
    pub created_by: String,
    /// From then on it is refused.
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
    pub revoked_by: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
