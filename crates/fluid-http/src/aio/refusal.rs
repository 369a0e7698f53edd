//! How `FastAPI` refuses a request.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fluid_core::{BrokerError, ParamsError};
use fluid_scheduler::QueueError;
use serde_json::{Value, json};

/// A status and `{"detail": …}`: a sentence, or a list of faults.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: Value,
}

impl Refusal {
    fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    }

    pub(super) fn no_task() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Task not found")
    }

    pub(super) fn no_run() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Task run not found")
    }

    pub(super) fn faults(faults: Vec<Value>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: faults.into(),
        }
    }

    /// The body is not JSON.
    pub(super) fn not_json(error: &serde_json::Error) -> Self {
        let mut fault = fault(
            "json_invalid",
            &json!(["body", error.column()]),
            "JSON decode error",
        );
        fault["input"] = json!({});
        fault["ctx"] = json!({ "error": error.to_string() });
        Self::faults(vec![fault])
    }

    /// The body is JSON, and no object.
    pub(super) fn no_object() -> Self {
        let told = "Input should be a valid dictionary or object to extract fields from";
        Self::faults(vec![fault("model_attributes_type", &json!(["body"]), told)])
    }
}

/// One fault. `input` is there and empty: what was sent may be a secret.
pub(super) fn fault(kind: &str, place: &Value, told: &str) -> Value {
    json!({ "type": kind, "loc": place, "msg": told, "input": null })
}

/// A fault with what it was measured by.
pub(super) fn fault_by(kind: &str, place: &Value, told: &str, by: Value) -> Value {
    let mut fault = fault(kind, place, told);
    fault["ctx"] = by;
    fault
}

impl From<BrokerError> for Refusal {
    fn from(error: BrokerError) -> Self {
        let status = if error.is_transient() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self::new(status, &error.to_string())
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Broker(error) => error.into(),
            QueueError::Params {
                source: ParamsError::Invalid { faults },
                ..
            } => Self::faults(faults.iter().map(|text| params_fault(text)).collect()),
            other => Self::faults(vec![fault(
                "value_error",
                &json!(["body"]),
                &other.to_string(),
            )]),
        }
    }
}

/// `/b/0: it is wrong` is at `["body", "b", "0"]`.
fn params_fault(text: &str) -> Value {
    let (place, told) = ParamsError::place(text);
    let steps = place.split('/').skip(1);
    let place: Vec<&str> = std::iter::once("body").chain(steps).collect();
    fault("value_error", &json!(place), told)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "detail": self.detail }))).into_response()
    }
}
