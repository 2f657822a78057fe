"""Which fields Caffe's messages have: one table for the text form (prototxt) and the binary form (caffemodel).

A field is written `name=number:kind`, with `*` behind the kind where it may stand several times. Kinds are int, float, bool, text, the
name of another message, the name of an enumeration, `floats` and `doubles` for the elements of a blob, and `any`, whose content changes
nothing that a net computes and is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ENUMS: Mapping[str, Mapping[str, int]] = {
    "Phase": {"TRAIN": 0, "TEST": 1},
    "Norm": {"FAN_IN": 0, "FAN_OUT": 1, "AVERAGE": 2},
    "DB": {"LEVELDB": 0, "LMDB": 1},
    "Pool": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    "Round": {"CEIL": 0, "FLOOR": 1},
    "Operation": {"PROD": 0, "SUM": 1, "MAX": 2},
    "Region": {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1},
    "Type": {  # of layers in the form of before 2015
        "NONE": 0, "ABSVAL": 35, "ACCURACY": 1, "ARGMAX": 30, "BNLL": 2, "CONCAT": 3, "CONTRASTIVE_LOSS": 37, "CONVOLUTION": 4, "DATA": 5,
        "DECONVOLUTION": 39, "DROPOUT": 6, "DUMMY_DATA": 32, "EUCLIDEAN_LOSS": 7, "ELTWISE": 25, "EXP": 38, "FLATTEN": 8, "HDF5_DATA": 9,
        "HDF5_OUTPUT": 10, "HINGE_LOSS": 28, "IM2COL": 11, "IMAGE_DATA": 12, "INFOGAIN_LOSS": 13, "INNER_PRODUCT": 14, "LRN": 15,
        "MEMORY_DATA": 29, "MULTINOMIAL_LOGISTIC_LOSS": 16, "MVN": 34, "POOLING": 17, "POWER": 26, "RELU": 18, "SIGMOID": 19,
        "SIGMOID_CROSS_ENTROPY_LOSS": 27, "SILENCE": 36, "SOFTMAX": 20, "SOFTMAX_LOSS": 21, "SPLIT": 22, "SLICE": 33, "TANH": 23,
        "WINDOW_DATA": 24, "THRESHOLD": 31,
    },
}  # fmt: skip
NEW_TYPES = {  # the present names of types whose words do not show them
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "IM2COL": "Im2col",
    "LRN": "LRN", "MVN": "MVN", "RELU": "ReLU", "SOFTMAX_LOSS": "SoftmaxWithLoss", "TANH": "TanH",
}  # fmt: skip
_PARAMS = """accuracy_param:any argmax_param:any concat_param:Concat contrastive_loss_param:any convolution_param:Convolution
    data_param:Data dropout_param:Dropout dummy_data_param:DummyData eltwise_param:Eltwise exp_param:any hdf5_data_param:HDF5Data
    hdf5_output_param:any hinge_loss_param:any image_data_param:ImageData infogain_loss_param:any inner_product_param:InnerProduct
    lrn_param:LRN memory_data_param:MemoryData mvn_param:any pooling_param:Pooling power_param:Power relu_param:ReLU sigmoid_param:any
    softmax_param:Axis slice_param:Slice tanh_param:any threshold_param:any window_data_param:WindowData transform_param:Transform
    loss_param:any""".split()
_NEW = (102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
        128, 129, 100, 101)  # fmt: skip
_OLD = (27, 23, 9, 40, 10, 11, 12, 26, 24, 41, 13, 14, 29, 15, 16, 17, 18, 22, 34, 19, 21, 30, 38, 39, 31, 37, 25, 20, 36, 42)


def _numbered(numbers: tuple[int, ...]) -> str:
    """The parameters of layers with their numbers in the new or the old form."""
    return " ".join(param.replace(":", f"={number}:") for param, number in zip(_PARAMS, numbers, strict=True))


_MESSAGES = {
    "Shape": "dim=1:int*",
    "Blob": "num=1:int channels=2:int height=3:int width=4:int data=5:floats diff=6:any shape=7:Shape double_data=8:doubles "
    "double_diff=9:any",
    "Filler": "type=1:text value=2:float min=3:float max=4:float mean=5:float std=6:float sparse=7:int variance_norm=8:Norm",
    "Net": "name=1:text input=3:text* input_shape=8:Shape* input_dim=4:int* force_backward=5:bool state=6:State debug_info=7:bool "
    "layer=100:Layer* layers=2:OldLayer*",
    "State": "phase=1:Phase level=2:int stage=3:text*",
    "Rule": "phase=1:Phase min_level=2:int max_level=3:int stage=4:text* not_stage=5:text*",
    "Param": "name=1:text share_mode=2:any lr_mult=3:float decay_mult=4:float",
    "Layer": "name=1:text type=2:text bottom=3:text* top=4:text* phase=10:Phase loss_weight=5:float* param=6:Param* blobs=7:Blob* "
    "propagate_down=11:bool* include=8:Rule* exclude=9:Rule* batch_norm_param=139:BatchNorm bias_param=141:Bias clip_param=148:any "
    "crop_param=144:any elu_param=140:any embed_param=137:any flatten_param=135:Flatten input_param=143:Input log_param=134:any "
    "parameter_param=145:any prelu_param=131:any python_param=130:any recurrent_param=146:any reduction_param=136:any "
    f"reshape_param=133:Reshape scale_param=142:Scale spp_param=132:any swish_param=147:any tile_param=138:any {_numbered(_NEW)}",
    "OldLayer": "layer=1:any bottom=2:text* top=3:text* name=4:text type=5:Type blobs=6:Blob* blobs_lr=7:float* weight_decay=8:float* "
    f"include=32:Rule* exclude=33:Rule* loss_weight=35:float* param=1001:text* blob_share_mode=1002:any {_numbered(_OLD)}",
    "Transform": "scale=1:float mirror=2:bool crop_size=3:int mean_file=4:text mean_value=5:float* force_color=6:bool force_gray=7:bool",
    "BatchNorm": "use_global_stats=1:bool moving_average_fraction=2:float eps=3:float",
    "Bias": "axis=1:int num_axes=2:int filler=3:Filler",
    "Concat": "axis=2:int concat_dim=1:int",
    "Convolution": "num_output=1:int bias_term=2:bool pad=3:int* kernel_size=4:int* stride=6:int* dilation=18:int* pad_h=9:int "
    "pad_w=10:int kernel_h=11:int kernel_w=12:int stride_h=13:int stride_w=14:int group=5:int weight_filler=7:Filler "
    "bias_filler=8:Filler engine=15:any axis=16:int force_nd_im2col=17:bool",
    "Data": "source=1:text batch_size=4:int rand_skip=7:int backend=8:DB scale=2:float mean_file=3:text crop_size=5:int mirror=6:bool "
    "force_encoded_color=9:bool prefetch=10:int",
    "Dropout": "dropout_ratio=1:float",
    "DummyData": "data_filler=1:Filler* shape=6:Shape* num=2:int* channels=3:int* height=4:int* width=5:int*",
    "Eltwise": "operation=1:Operation coeff=2:float* stable_prod_grad=3:bool",
    "Flatten": "axis=1:int end_axis=2:int",
    "HDF5Data": "source=1:text batch_size=2:int shuffle=3:bool",
    "ImageData": "source=1:text batch_size=4:int rand_skip=7:int shuffle=8:bool new_height=9:int new_width=10:int is_color=11:bool "
    "scale=2:float mean_file=3:text crop_size=5:int mirror=6:bool root_folder=12:text",
    "InnerProduct": "num_output=1:int bias_term=2:bool weight_filler=3:Filler bias_filler=4:Filler axis=5:int transpose=6:bool",
    "Input": "shape=1:Shape*",
    "LRN": "local_size=1:int alpha=2:float beta=3:float norm_region=4:Region k=5:float engine=6:any",
    "MemoryData": "batch_size=1:int channels=2:int height=3:int width=4:int",
    "Pooling": "pool=1:Pool pad=4:int pad_h=9:int pad_w=10:int kernel_size=2:int kernel_h=5:int kernel_w=6:int stride=3:int stride_h=7:int "
    "stride_w=8:int engine=11:any global_pooling=12:bool round_mode=13:Round",
    "Power": "power=1:float scale=2:float shift=3:float",
    "ReLU": "negative_slope=1:float engine=2:any",
    "Reshape": "shape=1:Shape axis=2:int num_axes=3:int",
    "Scale": "axis=1:int num_axes=2:int filler=3:Filler bias_term=4:bool bias_filler=5:Filler",
    "Axis": "engine=1:any axis=2:int",
    "Slice": "axis=3:int slice_point=2:int* slice_dim=1:int",
    "WindowData": "source=1:text scale=2:float mean_file=3:text batch_size=4:int crop_size=5:int mirror=6:bool fg_threshold=7:float "
    "bg_threshold=8:float fg_fraction=9:float context_pad=10:int crop_mode=11:text cache_images=12:bool root_folder=13:text",
    "Solver": "net=24:text net_param=25:Net train_net=1:text test_net=2:text* train_net_param=21:Net test_net_param=22:Net* "
    "train_state=26:State test_state=27:State* test_iter=3:int* test_interval=4:int test_compute_loss=19:bool test_initialization=32:bool "
    "base_lr=5:float display=6:int average_loss=33:int max_iter=7:int iter_size=36:int lr_policy=8:text gamma=9:float power=10:float "
    "momentum=11:float weight_decay=12:float regularization_type=29:text stepsize=13:int stepvalue=34:int* clip_gradients=35:float "
    "snapshot=14:int snapshot_prefix=15:text snapshot_diff=16:bool snapshot_format=37:any solver_mode=17:any device_id=18:int "
    "random_seed=20:int type=40:text delta=31:float momentum2=39:float rms_decay=38:float debug_info=23:bool snapshot_after_train=28:bool "
    "solver_type=30:any layer_wise_reduce=41:bool weights=42:text*",
}


@dataclass(frozen=True)
class Field:
    """A field of a message. kind: see above. repeated: whether it may stand several times."""

    name: str
    number: int
    kind: str
    repeated: bool


def _fields(text: str) -> dict[str, Field]:
    found = {}
    for word in text.split():
        name, _, rest = word.partition("=")
        number, _, kind = rest.partition(":")
        found[name] = Field(name, int(number), kind.rstrip("*"), kind.endswith("*"))
    return found


BY_NAME: Mapping[str, Mapping[str, Field]] = {message: _fields(text) for message, text in _MESSAGES.items()}
BY_NUMBER: Mapping[str, Mapping[int, Field]] = {
    message: {field.number: field for field in fields.values()} for message, fields in BY_NAME.items()
}


def new_type(old: str) -> str:
    """The present name of a layer's type in the form of before 2015, such as "InnerProduct" for "INNER_PRODUCT"."""
    return NEW_TYPES.get(old) or "".join(word.capitalize() for word in old.split("_"))
