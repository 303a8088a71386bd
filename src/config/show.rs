use std::{fmt::Write, path::PathBuf};

use toml::Value;

use super::{Config, Llm, Place, Store};
use crate::domain::{Fusion, Pooling};

impl Config {
    /// The configuration that holds, every key with its value, as a file that gives the same again.
    pub fn to_toml(&self) -> String {
        let (fusion, dense_weight, rrf_k) = match self.search.fusion {
            Fusion::MinMax { dense_weight } => ("min-max", dense_weight, 60.0),
            Fusion::Rrf { k } => ("rrf", 0.6, k),
        };
        let pooling = match self.embed.pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        };
        let library = self.embed.onnxruntime.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let mut out = String::new();
        let mut key = |name: &str, value: Value| {
            // Writing to a String can't fail.
            let _ = if name.starts_with('[') { writeln!(out, "\n{name}") } else { writeln!(out, "{name} = {value}") };
        };
        key("collection", text(self.collection.as_deref().unwrap_or_default()));
        key("[store]", none());
        self.store.keys(&mut key);
        key("[search]", none());
        key("mode", text(self.search.mode.name()));
        key("k", count(self.search.k));
        key("candidates", count(self.search.candidates));
        key("rerank", count(self.search.rerank));
        key("fusion", text(fusion));
        key("dense_weight", real(dense_weight));
        key("rrf_k", real(rrf_k));
        key("[embed]", none());
        key("model", text(&self.embed.model));
        key("pooling", text(pooling));
        key("max_tokens", count(self.embed.max_tokens));
        key("sessions", count(self.embed.sessions));
        key("onnxruntime", text(&library));
        key("[ingest]", none());
        key("chunker", text(&self.chunker.to_string()));
        key("[llm]", none());
        match &self.llm {
            None => key("provider", text("none")),
            Some(llm) => llm.keys(&mut key),
        }
        key("citations", Value::Boolean(self.prompt.citations));
        key("system_prompt", text(&self.prompt.system));
        key("user_prompt", text(&self.prompt.user));
        key("[ui]", none());
        key("mouse", Value::Boolean(self.ui.mouse));
        key("theme", text(self.ui.theme.name()));
        if let Some(ascii) = self.ui.ascii {
            key("ascii", Value::Boolean(ascii));
        }
        key("reduced_motion", Value::Boolean(self.ui.reduced_motion));
        key("notify", Value::Boolean(self.ui.notify));
        if !self.keys.is_empty() {
            key("[keys]", none());
        }
        for (name, keys) in &self.keys {
            // A name that is no command was refused before this is shown, but is it a bare key for certain?
            key(
                &toml::Value::String(name.clone()).to_string(),
                Value::Array(keys.iter().map(|one| text(one)).collect()),
            );
        }
        out
    }
}

impl Store {
    fn keys(&self, key: &mut impl FnMut(&str, Value)) {
        let path = |path: &Option<PathBuf>| text(&path.as_ref().map(|p| p.display().to_string()).unwrap_or_default());
        let or_empty = |value: &Option<String>| text(value.as_deref().unwrap_or_default());
        // A place that nothing was written for is what an engine alone, or nothing at all, stands for.
        match &self.place {
            Place::Embedded if !self.named => key("engine", text("embedded")),
            Place::Server(_) if !self.named => key("engine", text("milvus")),
            place => key("uri", text(&place.to_string())),
        }
        key("database", or_empty(&self.database));
        key("token_env", or_empty(&self.token_env));
        key("ca_certificate", path(&self.tls.ca_certificate));
        key("client_certificate", path(&self.tls.client_certificate));
        key("client_key", path(&self.tls.client_key));
        key("tls_server_name", or_empty(&self.tls.server_name));
        key("connect_timeout_s", Value::Integer(self.connect_timeout.as_secs().cast_signed()));
        key("call_timeout_s", Value::Integer(self.call_timeout.as_secs().cast_signed()));
    }
}

impl Llm {
    fn keys(&self, key: &mut impl FnMut(&str, Value)) {
        key("provider", text(self.provider.name()));
        key("base_url", text(self.base_url.as_str()));
        key("model", text(&self.model));
        key("api_key_env", text(self.api_key_env.as_deref().unwrap_or_default()));
        if let Some(temperature) = self.temperature {
            key("temperature", real(temperature));
        }
        if let Some(max_tokens) = self.max_tokens {
            key("max_tokens", Value::Integer(max_tokens.into()));
        }
        key("first_token_timeout_s", Value::Integer(self.first_token_timeout.as_secs().cast_signed()));
        key("idle_timeout_s", Value::Integer(self.idle_timeout.as_secs().cast_signed()));
    }
}

fn none() -> Value {
    Value::Boolean(false)
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn count(n: usize) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

/// As short as it was written: 0.6 and not 0.6000000238.
fn real(x: f32) -> Value {
    Value::Float(x.to_string().parse().unwrap_or_else(|_| x.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_gives_the_same_again() {
        let own = "collection = \"x\"\n[search]\nfusion = \"rrf\"\nrrf_k = 20\nk = 9\n[embed]\nmodel = \"a/b\"\npooling = \"cls\"\n[ingest]\nchunker = \"split:\\\"# \\\"\"\n[llm]\nprovider = \"lepton\"\ntemperature = 0.2\nmax_tokens = 9\ncitations = true\nsystem_prompt = \"a\\n\\\"b\\\"\"\n";
        let server = "[store]\nuri = \"https://h/d\"\ntoken_env = \"\"\nca_certificate = \"ca.pem\"\nclient_certificate = \"c\"\nclient_key = \"k\"\ntls_server_name = \"n\"\ncall_timeout_s = 99\n";
        let lite = "[store]\nuri = \"./x.db\"\n";
        let ui = "[ui]\ntheme = \"high-contrast\"\nascii = false\nreduced_motion = true\nnotify = true\n";
        for written in ["", own, server, lite, ui, "store.engine = \"milvus\"", "store.uri = \"embedded\""] {
            let config = Config::parse(written, "written").unwrap();
            assert_eq!(Config::parse(&config.to_toml(), "shown").unwrap(), config);
        }
    }
}
