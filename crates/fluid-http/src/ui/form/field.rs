//! One field of a form: what it asks for, what was said, and what is wrong with it.

use askama::Template;
use serde_json::{Map, Value};

use super::Submitted;

/// What a field asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Text,
    Secret,
    /// Whole, or with a fraction.
    Number {
        whole: bool,
        min: Option<String>,
        max: Option<String>,
    },
    /// One of these; each written as people see it.
    Choice(Vec<(String, Value)>),
    Flag,
    /// Any number of these, one a line.
    Lines(Box<Kind>),
    Group(Vec<Field>),
    /// What has no form of its own is written as JSON.
    Json,
}

/// A parameter, or a member of one.
#[derive(Debug, Clone, PartialEq, Template)]
#[template(path = "part/field.html")]
pub(crate) struct Field {
    /// Its name within its parent.
    pub(crate) name: String,
    /// Its JSON Pointer, which names it in the form.
    pub(crate) pointer: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// Whether it belongs to something that may be left out as a whole.
    pub(crate) lax: bool,
    /// Whether `null` is one of its values.
    pub(crate) nullable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) said: String,
    pub(crate) faults: Vec<String>,
}

impl Field {
    fn id(&self) -> String {
        let letters = self.pointer.chars();
        let safe = |letter: char| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '-'
            }
        };
        format!("p{}", letters.map(safe).collect::<String>())
    }

    /// What is said unless somebody says something; and nothing need be said in what may be left out as a whole.
    pub(crate) fn preset(mut self) -> Self {
        if let Kind::Group(fields) = &mut self.kind
            && (!self.required || self.lax)
        {
            fields.iter_mut().for_each(Self::loosen);
        }
        if let Some(default) = &self.default {
            self.said = self.written(default);
        }
        self
    }

    fn loosen(&mut self) {
        self.lax = true;
        if let Kind::Group(fields) = &mut self.kind {
            fields.iter_mut().for_each(Self::loosen);
        }
    }

    fn written(&self, value: &Value) -> String {
        let plain = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        match (&self.kind, value) {
            (Kind::Json, Value::Null) => String::new(),
            (Kind::Json, value) => value.to_string(),
            (Kind::Lines(_), Value::Array(items)) => {
                items.iter().map(plain).collect::<Vec<_>>().join("\n")
            }
            (_, value) => plain(value),
        }
    }

    /// What the JSON editor begins with.
    pub(crate) fn example(&self) -> Option<Value> {
        if let Some(default) = &self.default {
            return Some(default.clone());
        }
        if let Kind::Group(fields) = &self.kind {
            let members = fields.iter();
            let members = members.filter_map(|field| Some((field.name.clone(), field.example()?)));
            return Some(Value::Object(members.collect()));
        }
        self.required.then(|| match &self.kind {
            Kind::Number { .. } => 0.into(),
            Kind::Flag => false.into(),
            Kind::Lines(_) => Value::Array(Vec::new()),
            Kind::Choice(choices) => choices
                .first()
                .map(|(_, value)| value.clone())
                .unwrap_or_default(),
            Kind::Json => Value::Null,
            _ => "".into(),
        })
    }

    /// Takes what was sent. A secret is asked for again rather than sent back.
    pub(crate) fn fill(&mut self, submitted: &Submitted) {
        if let Kind::Group(fields) = &mut self.kind {
            for field in fields {
                field.fill(submitted);
            }
            return;
        }
        let sent = submitted.one(&self.pointer);
        self.said = match (&self.kind, sent) {
            // A box that is not ticked sends nothing.
            (Kind::Flag, sent) => sent.is_some_and(|sent| sent == "true").to_string(),
            (_, sent) => sent.unwrap_or_default().replace("\r\n", "\n"),
        };
    }

    /// Whether anything was said in it.
    fn is_said(&self) -> bool {
        match &self.kind {
            Kind::Group(fields) => fields.iter().any(Self::is_said),
            Kind::Flag => self.said == "true",
            _ => !self.said.trim().is_empty(),
        }
    }

    /// Its value; `None` when nothing was said and nothing need be.
    pub(crate) fn value(&mut self) -> Result<Option<Value>, ()> {
        if !self.required && matches!(self.kind, Kind::Group(_)) && !self.is_said() {
            return Ok(None);
        }
        if let Kind::Group(fields) = &mut self.kind {
            let (mut members, mut whole) = (Map::new(), true);
            for field in fields {
                match field.value() {
                    Ok(Some(value)) => {
                        members.insert(field.name.clone(), value);
                    }
                    Ok(None) => {}
                    Err(()) => whole = false,
                }
            }
            if !whole {
                return Err(());
            }
            return Ok(Some(Value::Object(members)));
        }
        let is_text = matches!(self.kind, Kind::Text | Kind::Secret);
        if self.said.is_empty() && !matches!(self.kind, Kind::Flag | Kind::Lines(_)) {
            if self.required && self.nullable {
                return Ok(Some(Value::Null));
            }
            if self.required && !is_text {
                self.faults.push("say something here".to_owned());
                return Err(());
            }
            return Ok((self.required && is_text).then(|| "".into()));
        }
        let read = match &self.kind {
            Kind::Lines(_) if self.said.trim().is_empty() && !self.required => return Ok(None),
            Kind::Lines(kind) => {
                let lines = self.said.lines().filter(|line| !line.trim().is_empty());
                lines
                    .map(|line| read(kind, line))
                    .collect::<Result<Vec<_>, _>>()
                    .map(Value::Array)
            }
            kind => read(kind, &self.said),
        };
        read.map(Some).map_err(|fault| self.faults.push(fault))
    }

    /// Takes a fault that names it or something in it. Whether it did.
    pub(crate) fn blame(&mut self, place: &str, fault: &str) -> bool {
        let inside = place.strip_prefix(self.pointer.as_str());
        let mine = inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !mine {
            return false;
        }
        if let Kind::Group(fields) = &mut self.kind
            && fields.iter_mut().any(|field| field.blame(place, fault))
        {
            return true;
        }
        self.faults.push(fault.to_owned());
        true
    }
}

fn read(kind: &Kind, said: &str) -> Result<Value, String> {
    let not = |what: &str| format!("{said:?} is not {what}");
    match kind {
        Kind::Number { whole: true, .. } => {
            let number = said.trim().parse::<i64>().map(Value::from);
            let number = number.or_else(|_| said.trim().parse::<u64>().map(Value::from));
            number.map_err(|_| not("a whole number"))
        }
        Kind::Number { .. } => {
            let number = said.trim().parse::<f64>().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| not("a number"))
        }
        Kind::Choice(choices) => {
            let chosen = choices.iter().find(|(word, _)| word == said);
            chosen
                .map(|(_, value)| value.clone())
                .ok_or_else(|| not("one of the choices"))
        }
        Kind::Flag => Ok((said == "true").into()),
        Kind::Json => serde_json::from_str(said)
            .map_err(|error| format!("not JSON: line {} column {}", error.line(), error.column())),
        _ => Ok(said.into()),
    }
}
