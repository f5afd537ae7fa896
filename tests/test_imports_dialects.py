"""What each dialect says: MegaDetector, SpeciesNet, Timelapse, Wildlife Insights and Camtrap DP."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ctwatch.errors import ConfigError
from ctwatch.imports import recognise
from ctwatch.survey import Answer, Box, ImportedFile, ImportedLabel, Scope
from tests.shared_data import SHARED, needs_shared

CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}
FRAME = [0.1, 0.2, 0.3, 0.4]


def read(folder: Path, content: str | dict[str, Any], **more: Any) -> ImportedFile:
    """Read a text or JSON value as a file."""
    path = folder / "labels"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return recognise.read(path, **more)


def said(label: ImportedLabel) -> dict[str, float | None]:
    """Probabilities by label."""
    return {answer.label: answer.probability for answer in label.answers}


def counted(label: ImportedLabel) -> dict[str, int | None]:
    """Counts by label."""
    return {answer.label: answer.count for answer in label.answers}


def box(category: str, conf: float, *classes: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "category": category,
        "conf": conf,
        "bbox": FRAME,
        **({"classifications": list(classes)} if classes else {}),
        **more,
    }


def megadetector(*images: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"info": {"format_version": "1.6"}, "detection_categories": CATEGORIES, "images": list(images), **more}


def image(*boxes: dict[str, Any], file: str = "A/I.JPG", **more: Any) -> dict[str, Any]:
    return {"file": file, "detections": list(boxes), **more}


class TestMegaDetector:
    """A machine's file: every label says how probable blank is."""

    def test_the_best_box_of_each_category_and_what_is_left_for_blank(self, tmp_path: Path) -> None:
        """However low; a person is a human."""
        label = read(tmp_path, megadetector(image(box("1", 0.3), box("1", 0.926), box("2", 0.05)))).labels[0]
        assert label.answers == (
            Answer("blank", None, 0.074),
            Answer("animal", None, 0.926),
            Answer("human", None, 0.05),
        )
        assert [(each.label, each.probability) for each in label.boxes] == [
            ("animal", 0.3), ("animal", 0.926), ("human", 0.05),
        ]  # fmt: skip
        assert label.boxes[0] == Box("animal", 0.3, *FRAME)
        assert (label.by_human, label.classified_by, label.line, label.scope) == (False, "MegaDetector", 1, Scope.MEDIA)

    def test_no_box_is_blank_for_sure(self, tmp_path: Path) -> None:
        """As far as the file's own threshold goes."""
        assert read(tmp_path, megadetector(image())).labels[0].answers == (Answer("blank", None, 1.0),)

    def test_species_count_in_full_in_the_surest_box_and_less_in_others(self, tmp_path: Path) -> None:
        """A score takes for granted that something is in the box."""
        content = megadetector(
            image(box("1", 0.8, ["0", 0.9], ["1", 0.1]), box("1", 0.2, ["1", 0.8])),
            classification_categories={"0": "fox", "1": "elk"},
        )
        assert said(read(tmp_path, content).labels[0]) == pytest.approx(
            {"blank": 0.2, "fox": 0.9, "animal": 0.8, "elk": 0.2}
        )

    def test_five_species_are_kept_and_a_classifier_s_blank_is_none(self, tmp_path: Path) -> None:
        """The best five."""
        names = {str(number): f"species {number}" for number in range(8)} | {"8": "blank"}
        classes = [["8", 0.5], *([str(number), 0.1 - number / 100] for number in range(8))]
        label = read(tmp_path, megadetector(image(box("1", 0.9, *classes)), classification_categories=names)).labels[0]
        assert said(label).keys() == {"blank", "animal", *(f"species {number}" for number in range(5))}
        assert said(label)["blank"] == pytest.approx(0.1)

    def test_classes_described_by_speciesnet_s_taxonomy_have_scientific_names(self, tmp_path: Path) -> None:
        """Other descriptions are of no fixed form; then the class's own name holds."""
        content = megadetector(
            image(box("1", 0.9, ["0", 0.7], ["1", 0.2])),
            classification_categories={"0": "red fox", "1": "elk"},
            classification_category_descriptions={
                "0": "u;mammalia;carnivora;canidae;vulpes;vulpes;red fox",
                "1": "animalia;chordata;mammalia;artiodactyla;cervidae;cervuscanadensis",
            },
        )
        assert said(read(tmp_path, content).labels[0]).keys() == {"blank", "animal", "Vulpes vulpes", "elk"}

    def test_model_time_and_place_come_along(self, tmp_path: Path) -> None:
        """Backslashes become slashes; datetime is as EXIF has it."""
        content = megadetector(
            image(file="A\\100\\I.JPG", datetime="2024:05:01 08:00:00"),
            info={
                "detector": "md_v5a.0.0.pt",
                "classifier": "speciesnet",
                "classification_completion_time": "2026-05-26 19:11:32",
            },
        )
        label = read(tmp_path, content).labels[0]
        assert (label.file_path, label.classified_by) == ("A/100/I.JPG", "md_v5a.0.0.pt + speciesnet")
        assert label.taken == datetime(2024, 5, 1, 8)
        assert label.classified_at == datetime(2026, 5, 26, 19, 11, 32)

    def test_what_was_not_processed_is_counted(self, tmp_path: Path) -> None:
        """Failures, films, struck-out boxes and those of no category; a box outside the frame still says something."""
        got = read(
            tmp_path,
            megadetector(
                {"file": "a.jpg", "failure": "Failure image access", "detections": None},
                {"file": "b.jpg", "detections": None},
                image(file="c.mp4"),
                image(box("1", -0.8), box("9", 0.7), file="d.jpg"),
                image({**box("1", 0.6), "bbox": [0.5, 0.5, 40, 60]}, file="e.jpg", failure=None),
            ),
        )
        assert dict(got.skipped) == {
            "photographs that were not processed": 2,
            "films": 1,
            "boxes that were struck out as repeated": 1,
            "boxes of a category without a name": 1,
            "boxes that are not within the frame; their detection counts": 1,
        }
        assert [(label.file_path, said(label), label.boxes) for label in got.labels] == [
            ("d.jpg", {"blank": 1.0}, ()),
            ("e.jpg", {"blank": 0.4, "animal": 0.6}, ()),
        ]

    @pytest.mark.parametrize(
        ("bad", "told"),
        [
            (7, "is no object"),
            ({"detections": []}, "names no file"),
            ({"file": "a.jpg"}, "has no list of detections"),
            (image(box("1", 1.2)), "1.2 for a probability"),
            (image(box("1", float("nan"))), "nan for a probability"),
            (image({"category": "1", "conf": True}), "True for a probability"),
            (image({"category": "1"}), "None for a probability"),
            (image(box("1", 0.5, ["7", 0.5])), "class '7' that classification_categories does not name"),
            (image(box("1", 0.5, ["0"])), "no pair of class and score"),
            (image(file="good.jpg"), "names good.jpg a second time"),
        ],
    )
    def test_a_bad_image_is_told_by_its_place_and_the_others_are_taken(
        self, bad: Any, told: str, tmp_path: Path
    ) -> None:
        """One sentence each."""
        got = read(tmp_path, megadetector(image(file="good.jpg"), bad, classification_categories={"0": "fox"}))
        assert [label.file_path for label in got.labels] == ["good.jpg"]
        assert len(got.problems) == 1 and got.problems[0].startswith("image 2: ") and told in got.problems[0]


class TestSpeciesNet:
    """The ensemble's last word."""

    FOX = "u;mammalia;carnivora;canidae;vulpes;vulpes;red fox"

    def one(self, folder: Path, **prediction: Any) -> ImportedLabel:
        got = read(folder, {"predictions": [{"filepath": "/data/A/I.JPG", **prediction}]})
        assert got.problems == ()
        return got.labels[0]

    def test_the_ensemble_s_decision_beside_the_detector_s_boxes(self, tmp_path: Path) -> None:
        """Blank is no more probable than either leaves room for."""
        boxes = [{**box("1", 0.98), "label": "animal"}, {**box("2", 0.1), "label": "human"}]
        model = {"prediction_source": "classifier", "model_version": "4.0.1a"}
        label = self.one(tmp_path, prediction=self.FOX, prediction_score=0.7, detections=boxes, **model)
        assert said(label) == {"blank": 0.02, "animal": 0.98, "Vulpes vulpes": 0.7, "human": 0.1}
        assert label.classified_by == "SpeciesNet 4.0.1a (classifier)"
        assert [each.label for each in label.boxes] == ["animal", "human"]
        assert (label.file_path, label.by_human) == ("/data/A/I.JPG", False)

    def test_a_decision_without_boxes_is_not_called_blank(self, tmp_path: Path) -> None:
        """The detector saw nothing, the ensemble did."""
        label = self.one(tmp_path, prediction=self.FOX, prediction_score=0.9, detections=[])
        assert said(label) == {"blank": 0.1, "Vulpes vulpes": 0.9}

    def test_blank_has_the_ensemble_s_score(self, tmp_path: Path) -> None:
        """Faint boxes stay beside it."""
        label = self.one(tmp_path, prediction="u;;;;;;blank", prediction_score=0.95, detections=[box("1", 0.2)])
        assert said(label) == {"blank": 0.95, "animal": 0.2}

    def test_no_result_is_unknown(self, tmp_path: Path) -> None:
        """With boxes blank is what they leave, without any nothing is said of it."""
        nothing = ";".join(["u", *["no cv result"] * 6])
        assert said(self.one(tmp_path, prediction=nothing, prediction_score=0.5, detections=[])) == {"unknown": 0.5}
        label = self.one(tmp_path, prediction=nothing, prediction_score=0.5, detections=[box("1", 0.75)])
        assert said(label) == {"blank": 0.25, "animal": 0.75, "unknown": 0.5}

    def test_what_the_ensemble_ruled_out_does_not_come_back(self, tmp_path: Path) -> None:
        """The classifier's list holds what does not live there."""
        label = self.one(
            tmp_path,
            prediction="u;mammalia;;;;;mammal",
            prediction_score=0.9,
            classifications={"classes": [self.FOX], "scores": [0.9]},
        )
        assert said(label).keys() == {"blank", "Mammalia"}

    def test_a_file_of_the_classifier_or_the_detector_alone(self, tmp_path: Path) -> None:
        """Lists add up to what is left for blank."""
        classes = {"classes": [self.FOX, "u;;;;;;blank", self.FOX], "scores": [0.5, 0.3, 0.1]}
        assert said(self.one(tmp_path, classifications=classes)) == {"blank": 0.3, "Vulpes vulpes": pytest.approx(0.6)}
        assert said(self.one(tmp_path, detections=[box("3", 0.75)])) == {"blank": 0.25, "vehicle": 0.75}

    def test_failures_are_counted_and_nonsense_is_told(self, tmp_path: Path) -> None:
        """By place in the list."""
        got = read(
            tmp_path,
            {"predictions": [
                {"filepath": "a.jpg", "failures": ["CLASSIFIER"]},
                {"filepath": "b.jpg"},
                {"filepath": "c.jpg", "prediction": self.FOX},
                {"filepath": "d.jpg", "classifications": {"classes": ["x"], "scores": []}},
            ]},
        )  # fmt: skip
        assert got.labels == ()
        assert got.skipped == (("photographs that were not processed", 1),)
        assert [problem.split(":")[0] for problem in got.problems] == ["prediction 2", "prediction 3", "prediction 4"]


class TestTimelapse:
    """A person's table, of any template."""

    def test_ours_comes_back_with_the_reviewed_rows(self, tmp_path: Path) -> None:
        """The others still hold what the machine said."""
        media_id = "ab" * 16
        got = read(
            tmp_path,
            "RootFolder,File,RelativePath,DateTime,DeleteFlag,Species,Count,Reviewed,ReviewedBy,MachineSpecies,Deployment,MediaID\n"
            f"cards,I1.JPG,A\\100,2024-05-01 08:00:00,false,fox|elk,2|,true,anna,elk,A-1,{media_id}\n"
            "cards,I2.JPG,A\\100,2024-05-01 08:00:01,false,elk,,false,,elk,A-1,\n"
            "cards,I3.JPG,A\\100,2024-05-01 08:00:02,false,,,TRUE,anna,elk,A-1,\n"
            "cards,I4.JPG,,2024-05-01 08:00:03,false,blank,,true,,elk,A-1,\n",
            by="ben",
        )
        first, last = got.labels
        assert first == ImportedLabel(
            "A/100/I1.JPG",
            (Answer("fox", 2), Answer("elk")),
            True,
            "anna",
            2,
            taken=datetime(2024, 5, 1, 8),
            media_id=media_id,
            deployment="A-1",
        )
        assert (last.file_path, last.answers, last.classified_by) == ("I4.JPG", (Answer("blank"),), "ben")
        assert got.skipped == (("rows that nobody reviewed", 1),)
        assert got.problems == ("line 4: is reviewed but names nothing; write a species, or blank",)

    def test_a_foreign_template_by_its_usual_names(self, tmp_path: Path) -> None:
        """Numbered species with their counts, flags, counters of people, and rows that say nothing."""
        got = read(
            tmp_path,
            "RootFolder,File,RelativePath,Date,Time,Species1,Count1,Species2,Count2,Empty,People,Dark,Observer\n"
            "R,1.JPG,S,01-May-2024,08:00:00,deer,2,fox,1,false,0,false,anna\n"
            "R,2.JPG,S,01-May-2024,08:00:01,,,,,true,0,false,anna\n"
            "R,3.JPG,S,01-May-2024,08:00:02,,,,,false,3,false,anna\n"
            "R,4.JPG,S,01-May-2024,08:00:03,,,,,false,0,true,anna\n"
            "R,5.JPG,S,01-May-2024,08:00:04,,,,,false,0,false,anna\n"
            "R,6.JPG,S,01-May-2024,08:00:05,deer,1,,,true,0,false,anna\n"
            "R,7.JPG,S,01-May-2024,08:00:05,deer,many,,,false,0,false,anna\n",
        )
        assert [counted(label) for label in got.labels] == [{"deer": 2, "fox": 1}, {"blank": None}, {"human": 3}]
        assert (got.labels[0].taken, got.labels[0].deployment) == (datetime(2024, 5, 1, 8), "R")
        assert got.skipped == (("rows flagged as dark", 1), ("rows without an answer", 1))
        assert [problem.split(":")[0] for problem in got.problems] == ["line 7", "line 8"]

    def test_a_species_column_that_cannot_be_told_is_asked_for(self, tmp_path: Path) -> None:
        """Naming the columns; what is asked for is taken, in any case."""
        text = "File,RelativePath,Animal,Taxon,Choice0\n1.JPG,S,a,b,c\n"
        with pytest.raises(ConfigError, match="File, RelativePath, Animal, Taxon, Choice0"):
            read(tmp_path, text)
        assert counted(read(tmp_path, text, species_column="choice0").labels[0]) == {"c": None}
        with pytest.raises(ConfigError, match="has no column 'Tier'"):
            read(tmp_path, text, species_column="Tier")
        assert counted(read(tmp_path, "File,RelativePath,Taxon\n1.JPG,S,b\n").labels[0]) == {"b": None}

    def test_counts_for_several_species_must_be_as_many(self, tmp_path: Path) -> None:
        """One number for two species is nobody's, two for three are a mistake."""
        got = read(
            tmp_path,
            "File,RelativePath,Species,Count\n1.JPG,,a|b,3\n2.JPG,,a|b|c,1|2\n3.JPG,,a|b,|4\n",
        )
        assert [counted(label) for label in got.labels] == [{"a": None, "b": None}, {"a": None, "b": 4}]
        assert got.problems == ("line 3: has 2 counts for 3 species; give one for each",)

    def test_a_quote_that_kept_a_cell_from_running_in_a_spreadsheet_is_taken_off(self, tmp_path: Path) -> None:
        """As our own writer puts it there."""
        got = read(tmp_path, "File,RelativePath,Species\n'-1.JPG,,'=fox\n'n.JPG,,'tis\n")
        assert [(label.file_path, label.answers[0].label) for label in got.labels] == [
            ("-1.JPG", "=fox"),
            ("'n.JPG", "'tis"),
        ]

    def test_a_row_with_too_many_cells_is_told(self, tmp_path: Path) -> None:
        """A comma in a name moves all that follows."""
        got = read(tmp_path, "File,RelativePath,Species\n1.JPG,,deer, red\n2.JPG,,fox,,\n")
        assert [label.file_path for label in got.labels] == ["2.JPG"]
        assert got.problems == ("line 2: has 4 cells where the header has 3; quote the commas in it",)


class TestWildlifeInsights:
    """images.csv, a row for each identification."""

    HEADER = "deployment_id,image_id,filename,location,is_blank,identified_by,class,order,family,genus,species,common_name,timestamp,number_of_objects,cv_confidence\n"  # noqa: E501

    def test_rows_of_one_photograph_and_person_are_one_label(self, tmp_path: Path) -> None:
        """Adults and young add up; another person has a label of their own; a row that is there twice counts once."""
        row = "d1,i1,I1.JPG,,0,anna,,,,Cervus,elaphus,,2024-05-01 08:00:00,{},\n"
        got = read(
            tmp_path,
            self.HEADER
            + row.format(2)
            + row.format(1)
            + row.format(2)
            + "d1,i1,I1.JPG,,0,anna,,,,Vulpes,vulpes,,2024-05-01 08:00:00,,\n"
            + "d1,i1,I1.JPG,,0,ben,,,,Vulpes,vulpes,,2024-05-01 08:00:00,1,\n",
        )
        assert [(label.classified_by, counted(label), label.line) for label in got.labels] == [
            ("anna", {"Cervus elaphus": 3, "Vulpes vulpes": None}, 2),
            ("ben", {"Vulpes vulpes": 1}, 6),
        ]
        assert got.skipped == (("rows that are there twice", 1),)
        assert {(label.deployment, label.taken, label.by_human) for label in got.labels} == {
            ("d1", datetime(2024, 5, 1, 8), True)
        }

    def test_one_file_name_at_two_times_is_two_photographs(self, tmp_path: Path) -> None:
        """Numbering starts over within a deployment."""
        row = "d1,,IMG_0001.JPG,,0,anna,,,,Vulpes,vulpes,,2024-05-0{} 08:00:00,1,\n"
        got = read(tmp_path, self.HEADER + row.format(1) + row.format(2))
        assert [counted(label) for label in got.labels] == [{"Vulpes vulpes": 1}] * 2

    @pytest.mark.parametrize(
        ("cells", "label"),
        [
            ("1,anna,,,,,blank,", "blank"),
            ("0,anna,,,,,,Blank", "blank"),
            ("0,anna,Mammalia,Primates,Hominidae,Homo,sapiens,", "human"),
            ("0,anna,,,,,,Human-Camera Trapper", "human"),
            ("0,anna,,,,,,Vehicle", "vehicle"),
            ("0,anna,,,,Unknown,unknown,", "unknown"),
            ("0,anna,,,,,,No CV Result", "unknown"),
            ("0,anna,Mammalia,,,,spp.,", "Mammalia"),
            ("0,anna,Mammalia,Carnivora,Canidae,Canis,,Canis species", "Canis"),
            ("0,anna,,,,,spp.,", "animal"),
            ("0,anna,,,,,,Unknown owl", "Unknown owl"),
        ],
    )
    def test_a_name_or_the_lowest_rank_that_is_given(self, cells: str, label: str, tmp_path: Path) -> None:
        """People, vehicles and blanks by any of their names."""
        got = read(tmp_path, self.HEADER + f"d1,i1,I1.JPG,,{cells},2024-05-01 08:00:00,,\n")
        assert [answer.label for answer in got.labels[0].answers] == [label]

    def test_the_site_s_own_model_is_a_machine(self, tmp_path: Path) -> None:
        """Told by its name; a person may be called Ai."""
        row = "d1,i1,I{}.JPG,,0,{},,,,Vulpes,vulpes,,,,0.8\n"
        names = ["Computer vision", "CV", "computer vision: mymodel", "Ai Weiwei", ""]
        got = read(tmp_path, self.HEADER + "".join(row.format(*pair) for pair in enumerate(names)))
        assert [label.by_human for label in got.labels] == [False, False, False, True, True]
        assert [label.answers[0].probability for label in got.labels] == [0.8, 0.8, 0.8, None, None]

    def test_an_upload_names_photographs_by_address_or_id(self, tmp_path: Path) -> None:
        """Its columns are fewer."""
        header = "project_id,deployment_id,image_id,location,identified_by,wi_taxon_id,genus,species,timestamp\n"
        got = read(
            tmp_path,
            header
            + f"p,d1,{'cd' * 16},gs://bucket/A/100/I1.JPG,anna,,Vulpes,vulpes,\np,d1,I2.JPG,,anna,,Vulpes,vulpes,\n",
        )
        assert [(label.file_path, label.media_id) for label in got.labels] == [
            ("A/100/I1.JPG", "cd" * 16),
            ("I2.JPG", None),
        ]

    def test_contradictions_and_rows_that_name_nothing_are_told(self, tmp_path: Path) -> None:
        """Of blank and an animal the animal is taken."""
        got = read(
            tmp_path,
            self.HEADER
            + "d1,i1,I1.JPG,,1,anna,,,,,,,,,\n"
            + "d1,i1,I1.JPG,,0,anna,,,,Vulpes,vulpes,,,1,\n"
            + "d1,i2,I2.JPG,,0,anna,,,,,,,,,\n",
        )
        assert [counted(label) for label in got.labels] == [{"Vulpes vulpes": 1}]
        assert got.problems == (
            "line 4: names nothing, not even blank",
            "line 2: I1.JPG is blank in one row and not in another; what was seen is taken",
        )


MEDIA = "mediaID,deploymentID,timestamp,filePath,fileName,fileMediatype\n"
OBSERVATIONS = (
    "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,observationType,cameraSetupType,scientificName,count,"
    "classificationMethod,classifiedBy,classificationTimestamp,classificationProbability\n"
)


def package(folder: Path, media: str, observations: str, **more: Any) -> ImportedFile:
    """Read a package of these two tables."""
    resources = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]
    (folder / "datapackage.json").write_text(json.dumps({"resources": resources}), "utf-8")
    (folder / "media.csv").write_text(media, "utf-8")
    (folder / "observations.csv").write_text(observations, "utf-8")
    return recognise.read(folder, **more)


class TestCamtrapDP:
    """Photographs and events, people and machines."""

    PHOTOGRAPHS = MEDIA + "".join(
        f"m{number},d1,2024-05-01T08:00:0{number}+02:00,media/I{number}.JPG,,image/jpeg\n" for number in range(4)
    )

    def test_photographs_have_labels_by_author(self, tmp_path: Path) -> None:
        """Times lose their offset, those of classification are in UTC; counts of one author add up."""
        got = package(
            tmp_path,
            self.PHOTOGRAPHS,
            OBSERVATIONS
            + "o1,d1,m0,,,,animal,,Cervus elaphus,1,human,anna,2024-06-01T10:00:00+02:00,\n"
            + "o2,d1,m0,,,,animal,,Cervus elaphus,2,human,anna,2024-06-01T11:00:00+02:00,\n"
            + "o3,d1,m0,,,,animal,,Dama dama,,machine,model v1,2024-06-01T09:00:00Z,0.7\n"
            + "o4,d1,m1,,,,blank,,,,,,,\n"
            + "o5,d1,m2,,,,animal,,,,human,,,\n"
            + "o6,d1,m3,,,,unknown,,,,human,,,\n",
            by="ben",
        )
        assert not got.problems and not got.skipped
        assert [(label.file_path, label.by_human, label.classified_by, label.answers) for label in got.labels] == [
            ("media/I0.JPG", True, "anna", (Answer("Cervus elaphus", 3),)),
            ("media/I0.JPG", False, "model v1", (Answer("Dama dama", None, 0.7),)),
            ("media/I1.JPG", True, "ben", (Answer("blank"),)),
            ("media/I2.JPG", True, "ben", (Answer("animal"),)),
            ("media/I3.JPG", True, "ben", (Answer("unknown"),)),
        ]
        first = got.labels[0]
        assert (first.taken, first.classified_at) == (datetime(2024, 5, 1, 8), datetime(2024, 6, 1, 9))
        assert (first.deployment, first.media_id, first.scope) == ("d1", None, Scope.MEDIA)

    def test_an_event_speaks_of_the_photographs_that_name_it(self, tmp_path: Path) -> None:
        """One label each, of one group, with the same answers."""
        got = package(
            tmp_path,
            self.PHOTOGRAPHS,
            OBSERVATIONS
            + "o1,d1,,e1,2024-05-01T06:00:00Z,2024-05-01T06:00:01Z,animal,,Vulpes vulpes,2,human,anna,,\n"
            + "o2,d1,m2,e1,,,blank,,,,human,anna,,\n"
            + "o3,d1,m3,e2,,,blank,,,,human,anna,,\n",
        )
        events = [label for label in got.labels if label.scope is Scope.EVENT]
        # Two by their time, compared as instants; one by its own row; the last is another event's.
        assert [label.file_path for label in events] == ["media/I0.JPG", "media/I1.JPG", "media/I2.JPG"]
        assert {(label.group, label.answers) for label in events} == {("d1/e1", (Answer("Vulpes vulpes", 2),))}

    def test_an_event_is_of_one_deployment(self, tmp_path: Path) -> None:
        """Two cameras may work at once, and name their events alike."""
        media = MEDIA + "m1,d1,2024-05-01T08:00:00Z,a.jpg,,\nm2,d2,2024-05-01T08:00:00Z,b.jpg,,\n"
        row = "o{0},d{0},,e,2024-05-01T08:00:00Z,2024-05-01T08:00:09Z,animal,,{1},,human,anna,,\n"
        got = package(tmp_path, media, OBSERVATIONS + row.format(1, "Vulpes vulpes") + row.format(2, "Meles meles"))
        assert [(label.file_path, label.answers[0].label, label.group) for label in got.labels] == [
            ("a.jpg", "Vulpes vulpes", "d1/e"),
            ("b.jpg", "Meles meles", "d2/e"),
        ]

    def test_a_draft_joins_its_sequences(self, tmp_path: Path) -> None:
        """Version 0.1: sequenceID, timestamp, classificationConfidence, cameraSetup."""
        got = package(
            tmp_path,
            "mediaID,deploymentID,sequenceID,timestamp,filePath,fileName\n"
            "m1,d1,s1,2024-05-01T08:00:00Z,https://example.org/assets/1/file,I1.JPG\n"
            "m2,d1,s2,2024-05-01T08:00:00Z,https://example.org/assets/2/file,I2.JPG\n",
            "observationID,deploymentID,sequenceID,mediaID,timestamp,observationType,cameraSetup,scientificName,"
            "classificationMethod,classifiedBy,classificationConfidence\n"
            "o1,d1,s1,,2024-05-01T08:00:00Z,animal,FALSE,Ardea,machine,model,0.9\n"
            "o2,d1,s2,,2024-05-01T08:00:00Z,unclassified,TRUE,,human,,\n",
        )
        assert [(label.file_path, said(label), label.scope) for label in got.labels] == [
            ("I1.JPG", {"Ardea": 0.9}, Scope.EVENT)
        ]
        assert got.skipped == (("observations of setting up or calibrating the camera", 1),)

    def test_what_is_left_out_is_counted_and_what_is_wrong_is_told(self, tmp_path: Path) -> None:
        """With the table and the line."""
        got = package(
            tmp_path,
            MEDIA
            + "m0,d1,2024-05-01T08:00:00Z,a.jpg,,image/jpeg\nm0,d1,,b.jpg,,\nm1,d1,,c.mp4,,video/mp4\n,d1,,d.jpg,,\nm9,d1,,,,\n",
            OBSERVATIONS
            + "o1,d1,m1,,,,blank,,,,,,,\n"
            + "o2,d1,m0,,,,unclassified,,Vulpes vulpes,,,,,\n"
            + "o3,d1,m0,,,,human,setup,,,,,,\n"
            + "o4,d1,,e9,2030-01-01T00:00:00Z,2030-01-01T00:00:00Z,blank,,,,,,,\n"
            + "o5,d1,m7,,,,blank,,,,,,,\n"
            + "o6,d1,m0,,,,ghost,,,,,,,\n"
            + "o7,d1,m0,,,,blank,,,,oracle,,,\n"
            + "o8,d1,m0,,,,animal,,Vulpes vulpes,-1,,,,\n"
            + "o9,d1,m0,,,,animal,,Vulpes vulpes,,machine,,,7\n"
            + "o9,d1,,,,,blank,,,,,,,\n"
            + "o10,d1,,,,,blank,,,,,,,\n",
        )
        assert got.labels == ()
        assert dict(got.skipped) == {
            "observations of films and other files that are no photographs": 1,
            "observations that are unclassified, though they name a species": 1,
            "observations of setting up or calibrating the camera": 1,
            "events without a photograph in the package": 1,
        }
        assert [problem.split(":")[0] for problem in got.problems] == [
            "media line 3", "media line 5", "media line 6",
            *(f"observations line {line}" for line in (6, 7, 8, 9, 10, 11, 12)),
        ]  # fmt: skip

    def test_events_that_all_overlap_do_not_fill_the_memory(self, tmp_path: Path) -> None:
        """A small package could otherwise have millions of labels."""
        media = MEDIA + "".join(f"m{number},d1,2024-05-01T08:00:00Z,{number}.jpg,,\n" for number in range(2000))
        row = "o{0},d1,,e{0},2024-05-01T00:00:00Z,2024-05-02T00:00:00Z,blank,,,,,,,\n"
        with pytest.raises(ConfigError, match="overlap so much"):
            package(tmp_path, media, OBSERVATIONS + "".join(row.format(number) for number in range(2000)))

    def test_a_table_without_its_columns_is_refused(self, tmp_path: Path) -> None:
        """By name."""
        with pytest.raises(ConfigError, match="has no column mediaID, filePath"):
            package(tmp_path, "deploymentID\n", OBSERVATIONS)


@needs_shared
def test_the_standard_s_example_is_read_whole() -> None:
    """383 of 423 photographs were not of setting up; 35 rows speak of 30 events."""
    got = recognise.read(SHARED / "golden" / "camtrap_dp" / "example")
    assert got.problems == ()
    assert got.skipped == (("observations of setting up or calibrating the camera", 41),)
    assert Counter(label.scope for label in got.labels) == {Scope.MEDIA: 383, Scope.EVENT: 410}
    assert sum(not label.by_human for label in got.labels) == 40
    assert len({label.group for label in got.labels if label.scope is Scope.EVENT}) == 30


@needs_shared
@pytest.mark.parametrize(("name", "labels"), [("camtrapdp_mica_0.1", 223), ("camtrapdp_fieldmuseum_beaver", 0)])
def test_packages_before_and_beside_the_standard_are_read(name: str, labels: int) -> None:
    """A draft with sequences; one whose rows are all unclassified, although some name species."""
    got = recognise.read(SHARED / "tables" / name)
    assert got.problems == ()
    assert len(got.labels) == labels
