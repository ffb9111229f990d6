-- The schema of a store of version 2, as SQLite dumped it.
CREATE TABLE channel (
    place INTEGER NOT NULL,
    step INTEGER NOT NULL,
    role VARCHAR NOT NULL,
    azimuth_deg DOUBLE,
    focus_um DOUBLE,
    scan VARCHAR NOT NULL,
    PRIMARY KEY (place, scan),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE TABLE erasure (
    scan VARCHAR NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (scan, place),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE TABLE fit (
    recipe VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    record JSON NOT NULL,
    saved_at VARCHAR NOT NULL,
    scan VARCHAR NOT NULL,
    PRIMARY KEY (recipe, scan),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE TABLE foil (
    name VARCHAR NOT NULL,
    stack VARCHAR,
    material VARCHAR,
    thickness_um DOUBLE,
    etch JSON NOT NULL,
    metadata JSON NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(stack) REFERENCES stack (name)
);
CREATE TABLE label (
    number INTEGER NOT NULL,
    id VARCHAR NOT NULL,
    event VARCHAR NOT NULL,
    foil VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    x_mm DOUBLE,
    y_mm DOUBLE,
    region_mm VARCHAR,
    class VARCHAR NOT NULL,
    who VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    "when" VARCHAR NOT NULL,
    note VARCHAR,
    scan VARCHAR,
    tile INTEGER,
    x_px DOUBLE,
    y_px DOUBLE,
    region_px VARCHAR,
    PRIMARY KEY (number),
    UNIQUE (id),
    UNIQUE (event),
    FOREIGN KEY(foil) REFERENCES foil (name)
);
CREATE TABLE left_out (
    place INTEGER NOT NULL,
    tile INTEGER NOT NULL,
    file VARCHAR NOT NULL,
    why VARCHAR NOT NULL,
    scan VARCHAR NOT NULL,
    PRIMARY KEY (place, scan),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE TABLE picture (
    tile INTEGER NOT NULL,
    step INTEGER NOT NULL,
    sha256 VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    scan VARCHAR NOT NULL,
    PRIMARY KEY (tile, step, scan),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE TABLE run (
    name VARCHAR NOT NULL,
    scan VARCHAR NOT NULL,
    pits INTEGER NOT NULL,
    files JSON NOT NULL,
    committed_at VARCHAR NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE TABLE scan (
    name VARCHAR NOT NULL,
    foil VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    layout VARCHAR NOT NULL,
    pixel_size_um DOUBLE,
    height_px INTEGER NOT NULL,
    width_px INTEGER NOT NULL,
    dtype VARCHAR NOT NULL,
    azimuth_sense VARCHAR NOT NULL,
    gradient_sign INTEGER NOT NULL,
    datum JSON NOT NULL,
    metadata JSON NOT NULL,
    digest VARCHAR NOT NULL,
    array_sha256 VARCHAR NOT NULL,
    added_at VARCHAR NOT NULL,
    PRIMARY KEY (name),
    FOREIGN KEY(foil) REFERENCES foil (name)
);
CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(2);
CREATE TABLE stack (
    name VARCHAR NOT NULL,
    metadata JSON NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE tile (
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    stage_x_mm DOUBLE,
    stage_y_mm DOUBLE,
    metadata JSON NOT NULL,
    excluded BOOLEAN NOT NULL,
    excluded_why VARCHAR,
    scan VARCHAR NOT NULL,
    PRIMARY KEY (number, scan),
    FOREIGN KEY(scan) REFERENCES scan (name) ON DELETE CASCADE
);
CREATE INDEX ix_label_foil ON label (foil);
