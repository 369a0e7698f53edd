//! Requests to the API, and what comes back.

use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::served::Served;

/// An answer: its status, its headers, its JSON (`null` when it has none).
pub(super) struct Answer {
    pub(super) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(super) json: Value,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The answer's status and kind of problem.
    pub(super) fn problem(&self) -> (u16, &str) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.json
        );
        assert_eq!(self.json["status"], self.status, "{}", self.json);
        let kind = self.json["type"].as_str().unwrap();
        (
            self.status,
            kind.strip_prefix("urn:fluid:problem:").unwrap(),
        )
    }
}

pub(super) fn request(served: &Served, method: Method, path: &str) -> RequestBuilder {
    Client::new().request(method, served.url(&format!("/api/v1{path}")))
}

pub(super) async fn answer(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    Answer {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        json: answer.json().await.unwrap_or_default(),
    }
}

pub(super) async fn get(served: &Served, path: &str) -> Answer {
    answer(request(served, Method::GET, path)).await
}

pub(super) async fn post(served: &Served, path: &str, body: &Value) -> Answer {
    answer(request(served, Method::POST, path).json(body)).await
}

pub(super) async fn patch(served: &Served, path: &str, body: &Value) -> Answer {
    answer(request(served, Method::PATCH, path).json(body)).await
}
