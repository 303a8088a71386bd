use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::domain::{Chunker, Mode, Shard};

/// Ask questions of your own documents, and see why it answered so.
///
/// Without a command it opens the application.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = false)]
pub struct Args {
    /// Use this collection [default: "docs"; in the embedded store the built-in handbook until there is one]
    #[arg(long, global = true, value_name = "NAME")]
    pub collection: Option<String>,
    /// Where collections are kept: "embedded", a Milvus Lite file such as ./milvus_demo.db, http://HOST:19530 or
    /// https://HOST (a Milvus server, Zilliz Cloud), or unix:/PATH; MILVUS_URI says the same, a token is read from
    /// MILVUS_TOKEN
    #[arg(long, global = true, value_name = "URI")]
    pub store: Option<String>,
    /// Read this configuration file instead of the usual one
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Colour the output
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// No progress, and no notices but on what is wrong with an answer
    #[arg(short, long, global = true)]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Index files, folders, .zip or .tar.gz archives, or URLs of these
    Ingest(IngestOptions),
    /// Find passages and show their scores
    Search(SearchOptions),
    /// Answer one question
    Ask(AskOptions),
    /// See, browse and drop collections
    Collections {
        #[command(subcommand)]
        command: CollectionsCommand,
    },
    /// Copy a collection to another store, without embedding it again
    Copy(CopyOptions),
    /// Follow "Build RAG with Milvus and Lepton AI": make its collection, search it, answer its question
    Tutorial(TutorialOptions),
    /// Find, show or write the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Say what is configured, reachable and missing, and the next step
    Doctor(DoctorOptions),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, clap::Args)]
pub struct IngestOptions {
    /// What to index; without any, everything that the collection was made from
    #[arg(value_name = "PATH|URL")]
    pub sources: Vec<String>,
    /// Only documents whose path matches, for example 'en/faq/*.md'; may be given several times
    #[arg(long = "glob", value_name = "GLOB")]
    pub globs: Vec<String>,
    /// How to cut documents: markdown, or 'split:SEPARATOR' such as 'split:# '
    #[arg(long, value_name = "CHUNKER")]
    pub chunker: Option<Chunker>,
    /// Index unchanged documents too; starts over when the collection is another model's
    #[arg(long)]
    pub force: bool,
    /// Index only this share of the documents, for example 2/5; other machines index the others into the same collection
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Print a JSON report at the end
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct CopyOptions {
    /// The store to copy from: "embedded", a Milvus Lite file, http(s)://HOST, unix:/PATH; an address may end in
    /// /DATABASE
    pub from: String,
    /// The store to copy to
    pub to: String,
    /// The copy's name [default: the collection's own]
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Environment variable that holds the token of FROM, where it is not the usual one
    #[arg(long, value_name = "VARIABLE")]
    pub from_token_env: Option<String>,
    /// Environment variable that holds the token of TO
    #[arg(long, value_name = "VARIABLE")]
    pub to_token_env: Option<String>,
    /// Print a JSON report at the end
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct TutorialOptions {
    /// The folder en/faq of the Milvus documentation
    #[arg(value_name = "FAQ_FOLDER")]
    pub folder: PathBuf,
    /// Do not ask before a collection of that name is dropped
    #[arg(long)]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Retrieval {
    /// How many passages
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub k: Option<u64>,
    /// hybrid, dense or keyword
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Order the best 20 anew by the sentence of each that is likest the question; takes about a second
    #[arg(long)]
    pub rerank: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct SearchOptions {
    /// What to look for
    pub query: String,
    #[command(flatten)]
    pub retrieval: Retrieval,
}

#[derive(Debug, clap::Args)]
pub struct AskOptions {
    /// The question; "-" reads it from standard input
    pub question: String,
    #[command(flatten)]
    pub retrieval: Retrieval,
    /// Quote the passages' sentences even if a model is configured
    #[arg(long)]
    pub no_llm: bool,
}

#[derive(Debug, Subcommand)]
pub enum CollectionsCommand {
    /// All collections
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One collection
    Show {
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The passages of a collection as they are stored
    Rows {
        name: String,
        /// Leave out so many from the start
        #[arg(long, value_name = "N", default_value_t = 0)]
        offset: u64,
        /// How many
        #[arg(short, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
        n: u16,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a collection; its documents stay where they are
    Drop {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print where the configuration file is looked for
    Path,
    /// Print the configuration that holds
    Show,
    /// Write the commented example to that place
    Init,
    /// Print every command of the application with its keys, as `[keys]` has them
    Keys,
}

#[derive(Debug, clap::Args)]
pub struct DoctorOptions {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
