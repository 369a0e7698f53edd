//! `GET /runs/{run}/logs`: as JSON, as text, or as it grows.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use fluid_core::{BrokerResult, RunId, StoredLine};
use futures_util::stream::try_unfold;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::follow;
use super::one::found;
use crate::api::Problem;
use crate::api::extract::{Asked, InPath};
use crate::api::words::{Flag, Limit};
use crate::site::Site;

/// How many lines are read at once.
pub(super) const READ: usize = 1000;
/// The largest position: what a number in JavaScript holds exactly.
const LAST: u64 = 9_007_199_254_740_991;

/// Which lines, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::api) struct LogsQuery {
    /// Lines after this position; 0 is the beginning.
    #[schemars(range(max = LAST))]
    after: u64,
    /// How many lines an answer in JSON has at most; a text and a stream have all.
    limit: Limit<1000, 10_000>,
    /// Lines of this attempt alone.
    #[schemars(range(max = 4_294_967_295_u32))]
    attempt: Option<u32>,
    /// As text, to be saved as a file.
    download: Flag,
}

/// Lines of a run's log.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::api) struct LogPage {
    /// The lines, oldest first.
    lines: Vec<StoredLine>,
    /// What to say as `after` to go on from here.
    next: u64,
    /// Whether this is all that was printed until now.
    complete: bool,
}

/// Reads a log on and on.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) site: Site,
    pub(super) run: RunId,
    pub(super) after: u64,
    attempt: Option<u32>,
}

impl Reader {
    /// The next lines, and whether the log goes on at once.
    pub(super) async fn read(&mut self, limit: usize) -> BrokerResult<(Vec<StoredLine>, bool)> {
        let broker = self.site.manager.broker();
        let mut lines = broker.read_logs(self.run, self.after, limit).await?;
        let full = lines.len() >= limit;
        self.after = lines.last().map_or(self.after, |line| line.position);
        lines.retain(|line| self.attempt.is_none_or(|wanted| line.attempt == wanted));
        Ok((lines, full))
    }
}

/// What a run printed.
///
/// As `application/json` a page of lines; as `text/plain` the whole log, one line of output per line; as
/// `text/event-stream` the lines as they come, each an event `line` with its position as id, and at the end of the run one
/// event `end` with the state. Who comes back with `Last-Event-ID` goes on from there; nothing is left to tell is 204.
#[utoipa::path(
    get, path = "/runs/{run}/logs", tag = "runs", operation_id = "get_run_logs",
    extensions(("x-query" = json!(["LogsQuery"]))),
    params(
        ("run" = String, Path, format = "uuid", description = "The run's id"),
        ("Last-Event-ID" = Option<String>, Header, pattern = "^[0-9]{1,15}$", description = "The position of the last line that a stream told; goes before `after`"),
    ),
    responses(
        (status = 200, description = "The lines", content(
            (ref("#/components/schemas/LogPage") = "application/json"), (String = "text/plain"), (String = "text/event-stream"),
        )),
        (status = 204, description = "The run is finished and the stream told all before"),
        (status = 404, description = "There is no such run", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
pub(in crate::api) async fn get(
    State(site): State<Site>,
    InPath(run): InPath<RunId>,
    Asked(query, _): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if query.after > LAST {
        return Err(Problem::query(format!("after is larger than {LAST}")));
    }
    let told_before = last_event(&headers)?;
    // Before anything is asked: what happens from now on is not missed.
    let events = site.manager.events();
    let record = found(&site, run).await?;
    let mut reader = Reader {
        site,
        run,
        after: query.after,
        attempt: query.attempt,
    };
    match wanted(&headers, query.download.0) {
        Form::Json => {
            let (lines, full) = reader.read(query.limit.get()).await?;
            Ok(Json(LogPage {
                lines,
                next: reader.after,
                complete: !full,
            })
            .into_response())
        }
        Form::Text => Ok(text(reader, query.download.0)),
        Form::Stream => follow::stream(reader, &record, events, told_before).await,
    }
}

/// The last event that a stream told to who comes back.
fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(last) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let position = last.to_str().ok().and_then(|last| last.parse().ok());
    let position = position.filter(|position| *position <= LAST);
    let told = "Last-Event-ID must be the id of an event of this stream";
    position.map(Some).ok_or_else(|| Problem::header(told))
}

/// How a log is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
    Stream,
}

/// The first of our forms that the header `Accept` names; JSON when it names none.
fn wanted(headers: &HeaderMap, download: bool) -> Form {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let named =
        accept
            .unwrap_or_default()
            .split(',')
            .find_map(|one| match one.split(';').next()?.trim() {
                "text/event-stream" => Some(Form::Stream),
                "text/plain" => Some(Form::Text),
                "application/json" => Some(Form::Json),
                _ => None,
            });
    if download {
        return Form::Text;
    }
    named.unwrap_or(Form::Json)
}

/// The whole log as text, read while it is sent.
fn text(reader: Reader, download: bool) -> Response {
    let name = format!("attachment; filename=\"{}.log\"", reader.run);
    let pieces = try_unfold(Some(reader), async |reader| {
        let Some(mut reader) = reader else {
            return Ok(None);
        };
        let (lines, full) = reader.read(READ).await?;
        let piece: String = lines
            .iter()
            .flat_map(|line| [line.line.text.as_str(), "\n"])
            .collect();
        BrokerResult::Ok(Some((piece, full.then_some(reader))))
    });
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = ([(CONTENT_TYPE, plain)], Body::from_stream(pieces)).into_response();
    if let Ok(name) = HeaderValue::from_str(&name).map_err(|_| ())
        && download
    {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_named_is_taken() {
        for (accept, form) in [
            ("*/*", Form::Json),
            ("text/plain", Form::Text),
            ("text/event-stream, application/json", Form::Stream),
            ("text/html, text/plain;q=0.5", Form::Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wanted(&headers, false), form, "{accept}");
            assert_eq!(wanted(&headers, true), Form::Text, "{accept}");
        }
        assert_eq!(wanted(&HeaderMap::new(), false), Form::Json);
    }
}
