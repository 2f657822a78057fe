"""Which script a Chinese text is in, and whose terms it uses: Simplified as in mainland China, Traditional as in Taiwan."""

from __future__ import annotations

HAN = "[\u4e00-\u9fff]"
# A term of mainland China and what Taiwan says for it, both in the script of their own; what is the same but for the script is not here.
TERMS = {
    "数组": "陣列", "默认": "預設", "信息": "訊息", "内存": "記憶體", "循环": "迴圈", "软件": "軟體", "程序": "程式", "文件夹": "資料夾",
    "文件": "檔案", "数据": "資料", "网络": "網路", "变量": "變數", "字符串": "字串", "字节": "位元組", "线程": "執行緒", "进程": "行程",
    "算法": "演算法", "服务器": "伺服器", "设备": "裝置", "全局": "全域", "噪声": "雜訊", "概率": "機率", "方差": "變異數", "掩码": "遮罩",
    "正态": "常態", "溢出": "溢位", "运行": "執行", "随机数": "亂數", "图像": "影像", "显卡": "顯示卡", "权限": "權限", "浮点数": "浮點數",
}  # fmt: skip
OF_MAINLAND = {  # the terms of the mainland in Traditional characters: what a mere change of the script leaves behind
    "數組", "默認", "信息", "內存", "循環", "軟件", "文件夾", "文件", "數據", "網絡", "變量", "字符", "字節", "線程", "進程", "算法",
    "服務器", "設備", "全局", "噪聲", "概率", "掩碼", "正態", "運行", "顯卡", "質量", "支持", "缺省", "打印", "調用",
}  # fmt: skip


def of_another_script(text: str, traditional: bool) -> str:
    """The characters of a text that its script does not have: GB 2312 holds the Simplified ones, and Big5 the Traditional ones."""
    return "".join(letter for letter in text if "\u4e00" <= letter <= "\u9fff" and not _has("big5" if traditional else "gb2312", letter))


def _has(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
