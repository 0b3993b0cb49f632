//! The service without its socket: requests go to the routes, over a database of their own.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Body, Endpoint, Request, Response};
use serde_json::{Value, json};
use setpoint_ops::Limits;
use setpoint_ops::backup::Storage;
use setpoint_ops::database::{Access, Location, Settings};
use setpoint_ops::job;
use setpoint_ops::live::{Declared as Space, Following, Live, Policy};
use setpoint_ops::schema::Schema;
use setpoint_ops::secret::Rules;
use setpoint_ops::source::{Declared, Named, declare};
use setpoint_ops::token::{self, Role};
use tempfile::TempDir;

use crate::meters::Meters;
use crate::routes;
use crate::service::{Service, Setup, now};

mod asked;
mod backups;
mod etags;
mod guarded;
mod jobs;
mod openapi;
mod plans;
mod reading;
mod settings;
mod sources;

const SETTINGS: Settings =
    Settings { lock_timeout: Duration::from_secs(5), connect_timeout: Duration::from_secs(5) };

/// A service with nobody in front of it, and its folder.
struct World {
    folder: TempDir,
    service: Arc<Service>,
    routes: BoxEndpoint<'static>,
    token: Option<String>,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl World {
    /// With `app.yaml` declared, and not imported yet.
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().to_owned();
        fs::write(root.join("app.yaml"), APP).unwrap();
        let location = Location::Sqlite(root.join("setpoint.db"));
        let settings = SETTINGS;
        let policy = Policy::new(HashMap::from([
            ("default".to_owned(), space(&["base", "site"], None)),
            ("robot".to_owned(), space(&["base"], Some(SCHEMA))),
        ]));
        let following = Following { enabled: false, poll: Duration::from_secs(60) };
        let opened = Live::open(&location, Access::Create, settings, policy, following).await;
        let (live, _closing) = opened.unwrap();
        let setup = Setup {
            namespace: "default".to_owned(),
            root: root.clone(),
            sources: sources(&root),
            limits: Limits::default(),
            backups: Storage::new(root.join("backups"), None),
            database: settings,
            jobs: Arc::new(jobs(root.clone())),
            open: true,
            hosts: Vec::new(),
            origins: Vec::new(),
            body_bytes: 1 << 20,
            upload_bytes: 16 << 20,
            depth: 64,
            rate: None,
            heartbeat: Duration::from_secs(5),
            client_timeout: Duration::from_secs(30),
            stale_after: Duration::from_secs(60),
        };
        let service = Service::new(live, setup, Meters::apart());
        Self { folder, routes: routes(&service), service, token: None }
    }

    /// The same with `app.yaml` imported, as revision 1.
    async fn imported() -> Self {
        let world = Self::new().await;
        let migrated = world.post("/api/sources/migrate", json!({})).await;
        assert_eq!(migrated.body["revision"], 1, "{migrated:?}");
        world
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path.parse().unwrap())
            .header("host", "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Answer::of(self.routes.get_response(request.body(body)).await).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    /// The answer as it comes.
    async fn text(&self, path: &str) -> String {
        let request = Request::builder().uri(path.parse().unwrap()).header("host", "localhost");
        let response = self.routes.get_response(request.finish()).await;
        response.into_body().into_string().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    async fn post_text(&self, path: &str, body: &str) -> Answer {
        let json = [("content-type", "application/json")];
        self.send("POST", path, &json, Body::from_string(body.to_owned())).await
    }

    async fn put(&self, key: &str, value: Value) -> Answer {
        let json = [("content-type", "application/json")];
        let body = Body::from_string(json!({ "value": value }).to_string());
        self.send("PUT", &format!("/api/settings/{key}"), &json, body).await
    }

    async fn value(&self, key: &str) -> Value {
        self.get(&format!("/api/settings/{key}")).await.body["value"].clone()
    }

    /// The same service, asked with a token of that role.
    async fn with_token(self, name: &str, role: Role, namespaces: Option<&[&str]>) -> Self {
        let namespaces = namespaces.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        let db = self.service.live.writer().unwrap();
        let made = token::create(db, name, role, namespaces, None, "test", now()).await;
        let (_, secret) = made.unwrap();
        self.service.live.catch_up().await.unwrap();
        Self { token: Some(secret.reveal().to_owned()), ..self }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.into_bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
        Self { status: parts.status, headers: parts.headers, body }
    }

    /// The status with the code of the problem, if it is one.
    fn said(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

fn space(layers: &[&str], schema: Option<&str>) -> Space {
    Space {
        layers: layers.iter().map(|it| (*it).to_owned()).collect(),
        secrets: Rules::default(),
        schema: schema.map(|it| Arc::new(Schema::read(it).unwrap())),
    }
}

/// What is done at night.
fn jobs(root: PathBuf) -> job::Setup {
    let declared = [("audit", "audit-verify"), ("drift", "drift"), ("tidy", "vacuum")];
    let declared = declared.map(|(name, verb)| job::Declared {
        name: name.to_owned(),
        cron: "0 3 * * *".to_owned(),
        verb: verb.to_owned(),
        ..job::Declared::default()
    });
    let lease = Duration::from_secs(3600);
    job::Setup {
        jobs: job::read(&declared, &[], true).unwrap(),
        ground: job::Ground {
            location: Location::Sqlite(root.join("setpoint.db")),
            settings: SETTINGS,
            backups: Storage::new(root.join("backups"), None),
            retention: None,
            revisions: None,
            declared: Arc::new(Policy::new(HashMap::new())),
            sources: sources(&root),
            root,
            limits: Limits::default(),
            rules: HashMap::new(),
            webhook_hosts: Vec::new(),
        },
        holder: job::Holder { instance: "test".to_owned(), lease },
        grace: Duration::from_secs(5),
    }
}

fn sources(root: &Path) -> Vec<Declared> {
    let named = Named {
        path: root.join("app.yaml"),
        namespace: "default".to_owned(),
        layer: "base".to_owned(),
        interpretation: Default::default(),
        write_back: false,
    };
    declare(&[named], root).unwrap().0
}

const APP: &str = "\
# the app
http:
  port: 8080  # listen
  host: localhost
physics:
  damping: 0.5
  mode: fast
list: [1, 2]
";

const SCHEMA: &str = r#"{"properties": {"arm": {"properties": {
    "force": {"title": "Strongest push", "type": "integer", "maximum": 100}
}}}}"#;
