"""Small twix files with a protocol of a few lines, written with twixtools."""

import numpy as np

PERSON = (
    "Jane^Doe",
    "19700101",
    "PID4711",
    "1.3.12.2.1107.5.2",
    "Hospital^Town",
    "213010",
    "claustrophobic",
)
PROTOCOL = {
    "tSequenceFileName": '"%SiemensSeq%\\gre"',
    "alTR[0]": 12000,
    "alTE[0]": 2000,
    "adFlipAngleDegree[0]": 15.0,
    "sRXSPEC.alDwellTime[0]": 5000,
    "sKSpace.lBaseResolution": 8,
    "sKSpace.lPhaseEncodingLines": 8,
    "sKSpace.lPartitions": 1,
    "sKSpace.ucDimension": 2,
    "sSliceArray.asSlice[0].dThickness": 4.0,
    "sSliceArray.asSlice[0].dPhaseFOV": 160.0,
    "sSliceArray.asSlice[0].dReadoutFOV": 160.0,
    "sTXSPEC.asNucleusInfo[0].lFrequency": 123206013,
    "sCoilSelectMeas.aRxCoilSelectData[0].asList[0].sCoilElementID.tCoilID": '"Head"',
    "sCoilSelectMeas.aRxCoilSelectData[0].asList[0].sCoilElementID.tElement": '"H1"',
    "sCoilSelectMeas.aRxCoilSelectData[0].asList[0].lADCChannelConnected": 1,
    "sCoilSelectMeas.aRxCoilSelectData[0].asList[1].sCoilElementID.tCoilID": '"Head"',
    "sCoilSelectMeas.aRxCoilSelectData[0].asList[1].sCoilElementID.tElement": '"H2"',
    "sCoilSelectMeas.aRxCoilSelectData[0].asList[1].lADCChannelConnected": 0,
}


def header_bytes(**changes):
    """The header of a measurement: buffers with a name, a length and a text."""
    name, birth, patient, uid, place, serial, comment = PERSON
    lines = "".join(f"{key}\t = \t{value}\n" for key, value in (PROTOCOL | changes).items())
    buffers = {
        "MeasYaps": f"### ASCCONV BEGIN ###\n{lines}\n### ASCCONV END ###",
        "Dicom": "<XProtocol>\n"
        + "".join(
            f'<ParamString."{key}">  {{ "{value}"  }}\n'
            for key, value in {
                "Manufacturer": "Siemens",
                "ManufacturersModelName": "Model",
                "SoftwareVersions": "syngo MR XA61",
                "tPatientName": name,
                "PatientBirthDay": birth,
                "PatientID": patient,
                "StudyLOID": uid,
                "InstitutionName": place,
                "DeviceSerialNumber": serial,
                "tPatientComment": comment,
            }.items()
        )
        + '<ParamDouble."flMagneticFieldStrength">  { <Precision> 6  2.89362 }\n',
    }
    body = b""
    for title, text in buffers.items():
        body += title.encode() + b"\x00" + len(text).to_bytes(4, "little") + text.encode()
    body += b"\x00" * (-(len(body) + 8) % 32)
    return (len(body) + 8).to_bytes(4, "little") + len(buffers).to_bytes(4, "little") + body


def block(samples, *, flags=(), quaternion=(1, 0, 0, 0), position=(0, 0, 0), centre=0, **counters):
    """One readout, shape (coil, sample)."""
    import twixtools.mdb

    made = twixtools.mdb.Mdb_local(np.asarray(samples, np.complex64))
    made.channel_hdr = [type(made.channel_hdr[0])() for _ in samples]
    for number, head in enumerate(made.channel_hdr):
        head.ChannelId = number
    for flag in flags:
        made.add_flag(flag)
    for number, value in enumerate(quaternion):
        made.mdh.SliceData.Quaternion[number] = value
    made.mdh.SliceData.SlicePos.Sag, made.mdh.SliceData.SlicePos.Cor = position[:2]
    made.mdh.SliceData.SlicePos.Tra = position[2]
    made.mdh.CenterCol = samples.shape[1] // 2
    made.mdh.CenterLin = centre
    for name, value in counters.items():
        setattr(made.mdh.Counter, name, value)
    return made


def write_twix(path, measurements):
    """Write measurements, each a header and blocks."""
    import twixtools

    scans = [
        {"hdr_str": np.frombuffer(header, "S1"), "mdb": list(blocks)}
        for header, blocks in measurements
    ]
    for scan in scans:
        end = twixtools.mdb.Mdb_local()
        end.add_flag("ACQEND")
        scan["mdb"].append(end)
    twixtools.write_twix(scans, str(path))
    return path
