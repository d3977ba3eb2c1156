//! DG2 in all its forms, over the samples of ISO/IEC 39794-5 and 19794-5 and a specimen chip.

mod common;

use common::data;
use emrtd::lds::face::{ImageFormat, RecordFormat, parse};

#[test]
fn the_samples_of_both_standards_give_their_image() {
    let Some(folder) = data("lds") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    for (file, image) in [
        ("ICAO_39794_5_AP_AllFields.dat", "ICAO_39794_5_AP_Face.jpg"),
        ("ICAO_39794_5_AP_MandFields.dat", "ICAO_39794_5_AP_Face.jpg"),
        ("ICAO_39794_5_AP_DG2_AllFields.dat", "ICAO_39794_5_AP_Face.jpg"),
        ("ICAO_39794_5_AP_DG2_MandFields.dat", "ICAO_39794_5_AP_Face.jpg"),
        ("ISO19794_Test1_Data.bin", "ISO19794_Test1_Face.jpg"),
    ] {
        let faces = parse(&read(file)).expect("parses");
        assert_eq!(faces.len(), 1, "{file}");
        assert!(faces[0].bytes == read(image), "{file}");
        let wanted = if file.starts_with("ISO") { RecordFormat::Iso19794 } else { RecordFormat::Iso39794 };
        assert_eq!(faces[0].record, wanted);
        let shown = emrtd::lds::describe(&read(file)).expect("is shown");
        assert_eq!(shown["faces"][0]["size_bytes"], read(image).len(), "{file}");
    }
    for file in ["ICAO_39794_5_AP_MandFields_InvalidImage.dat", "ISO19794_Test2_Data_InvalidImage.bin"] {
        if let Ok(faces) = parse(&read(file)) {
            assert!(faces[0].format == ImageFormat::Unknown || faces[0].decode_jpeg2000().is_err(), "{file}");
        }
    }
}

#[test]
fn a_jpeg_2000_face_becomes_pixels() {
    let Some(folder) = data("lds") else { return };
    for file in ["ICAO_39794_5_AP_DG2_AllFields.dat", "bsi2008/Datagroup2.bin"] {
        let faces = parse(&std::fs::read(folder.join(file)).expect("is there")).expect("parses");
        assert_eq!(faces[0].format, ImageFormat::Jpeg2000);
        let pixels = faces[0].decode_jpeg2000().expect("decodes");
        assert_eq!(Some((pixels.width, pixels.height)), faces[0].size, "{file}");
        assert_eq!(pixels.rgb.len(), pixels.width as usize * pixels.height as usize * 3);
        let mean = pixels.rgb.iter().map(|v| u64::from(*v)).sum::<u64>() / pixels.rgb.len() as u64;
        assert!((30..230).contains(&mean), "{file}: {mean}");
    }
}
