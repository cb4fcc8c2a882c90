"""ScanNet200: the 200 classes of the long-tailed ScanNet benchmark, in its label order."""
from __future__ import annotations

from .space import LabelSpace

# "raw id, colour, name" of each class; the raw id is the ``id`` column of scannetv2-labels.combined.tsv.
_TABLE = """
1 aec7e8 wall; 2 bcbd22 chair; 3 98df8a floor; 4 ff9896 table; 5 d62728 door; 6 5b87e5 couch; 7 1f77b4 cabinet;
8 e55b68 shelf; 9 f7b6d2 desk; 10 5be56e office chair; 11 ffbb78 bed; 13 8d5be5 pillow; 14 708090 sink;
15 c49c94 picture; 16 c5b0d5 window; 17 2ca02c toilet; 18 9467bd bookshelf; 19 e55bdf monitor; 21 dbdb8d curtain;
22 c0e55b book; 23 58da89 armchair; 24 3a6289 coffee table; 26 b152ef box; 27 ff7f0e refrigerator; 28 edcc25 lamp;
29 29ce20 kitchen cabinet; 31 3e8f94 towel; 32 220e82 clothes; 33 8f2d73 tv; 34 893f0e nightstand; 35 17becf counter;
36 10d48b dresser; 38 5a77c9 stool; 39 7d1e8d cushion; 40 963538 plant; 41 bac53e ceiling; 42 e377c2 bathtub;
44 266480 end table; 45 781ff3 dining table; 46 9a3b67 keyboard; 47 a9894e bag; 48 8ff56f backpack;
49 25e6cd toilet paper; 50 0e109b printer; 51 c433b6 tv stand; 52 ed5026 whiteboard; 54 8aaf3e blanket;
55 9edae5 shower curtain; 56 2660a7 trash can; 57 be4df6 closet; 58 d03154 stairs; 59 d0c148 microwave;
62 37dc39 stove; 63 0a7d8c shoe; 64 4c26ca computer tower; 65 bf1c87 bottle; 66 d3782a bin; 67 76ae4c ottoman;
68 11f2ab bench; 69 1441f7 board; 70 d03dde washing machine; 71 a23e3c mirror; 72 d2eb3e copier; 73 2d9848 basket;
74 236b95 sofa chair; 75 a059ed file cabinet; 76 e3387d fan; 77 a98f51 laptop; 78 2a8f14 shower; 79 19a097 paper;
80 524be3 person; 82 fd3bde paper towel dispenser; 84 f08259 oven; 86 7bac2f blinds; 87 47c285 rack; 88 185ecd plate;
89 8610b3 blackboard; 90 9f2034 piano; 93 d5d058 suitcase; 95 409e46 rail; 96 12a3c2 radiator;
97 411d99 recycling bin; 98 b10a6d container; 99 985307 wardrobe; 100 53af1e soap dispenser; 101 12c799 telephone;
102 3d51d0 bucket; 103 d555d8 clock; 104 aa352a stand; 105 a1c026 light; 106 17f15b laundry basket; 107 0c67aa pipe;
110 9729f5 clothes dryer; 112 853350 guitar; 115 b8a25b toilet paper holder; 116 328a26 seat; 118 1fedec speaker;
120 2713d0 column; 121 df1bb4 bicycle; 122 fe8d55 ladder; 125 619027 bathroom stall; 128 6ae7b0 shower wall;
130 0c3da2 cup; 131 7c428c jacket; 132 894249 storage bin; 134 fafd1a coffee maker; 136 37bf49 dishwasher;
138 3c7e92 paper towel roll; 139 996cea machine; 140 b83a7d mat; 141 87540e windowsill; 145 8bf85b bar;
148 35c8ac toaster; 154 3f4586 bulletin board; 155 be4bba ironing board; 156 7f3f34 fireplace; 157 8db619 soap dish;
159 389059 kitchen counter; 161 40a0fa doorframe; 163 b656f5 toilet paper dispenser; 165 8b1235 mini fridge;
166 867836 fire extinguisher; 168 31a52a ball; 169 338085 hat; 170 2c15a3 shower curtain rod;
177 e85dc1 water cooler; 180 b06636 paper cutter; 185 74d911 tray; 188 36d196 shower door; 191 3c63cc pillar;
193 812b90 ledge; 195 fc646a toaster oven; 202 bbc449 mouse; 208 0d9e28 toilet seat cover dispenser;
213 347a98 furniture; 214 804cca cart; 221 bb3273 storage container; 229 b48d47 scale; 230 4dd023 tissue box;
232 48b7a8 light switch; 233 6163cb crate; 242 ac169e power outlet; 250 9b4028 decoration; 261 769f1e sign;
264 45fc94 projector; 276 2d67ad closet door; 283 6f2695 vacuum cleaner; 286 b80931 candle; 300 bcae43 plunger;
304 35ce35 stuffed animal; 312 61ebfc headphones; 323 4220b6 dish rack; 325 ec72c3 broom; 331 f19a53 guitar case;
342 85f034 range hood; 356 10cd90 dustpan; 370 4b65c6 hair dryer; 392 ed5ffb water bottle; 395 bf3431 handicap bar;
399 e3fe36 purse; 408 31ce57 vent; 417 307196 shower floor; 488 7d49b6 water pitcher; 540 e52072 mailbox;
562 9e771c bowl; 570 3ccd1b paper bag; 572 12d7c9 alarm clock; 581 4f4c99 music stand; 609 860d74 projector screen;
748 c0613f divider; 776 6ca312 laundry detergent; 1156 5fdc9c bathroom counter; 1163 628dd0 object;
1164 9013c1 bathroom vanity; 1165 a62439 closet wall; 1166 d4ca22 laundry hamper; 1167 17ce22 bathroom stall door;
1168 5bd3ec ceiling light; 1169 4f3789 trash bin; 1170 b61375 dumbbell; 1171 864c0e stair rail; 1172 57b91c tube;
1173 52e0bb bathroom cabinet; 1174 5c6ed6 cd case; 1175 a850ab closet rod; 1176 c53f33 coffee kettle;
1178 afc74d structure; 1179 3eb462 shower head; 1180 085b96 keyboard piano; 1181 4d0f82 case of water bottles;
1182 9a4160 coat rack; 1183 c5980b storage organizer; 1184 3b9b2d folded chair; 1185 0c9391 fire alarm;
1186 3623db power strip; 1187 d249b5 calendar; 1188 dd7c4d poster; 1189 95d642 potted plant; 1190 48b986 luggage;
1191 2a5ec6 mattress
"""


def _read(table: str) -> LabelSpace:
    rows = [entry.split(None, 2) for entry in table.replace('\n', ' ').split(';')]
    raw, colours, names = zip(*((int(raw), tuple(bytes.fromhex(colour)), name.strip()) for raw, colour, name in rows))
    return LabelSpace('ScanNet200', names, colours, tuple((number, index) for index, number in enumerate(raw)))


SCANNET200 = _read(_TABLE)
